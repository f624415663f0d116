import type { Logger } from 'pino';

export type ReplicatorLog = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;

/** The `replication` section of the configuration. */
export interface ReplicatorSettings {
  readonly heartbeatMs: number;
  /** WAL that a subscriber's slot may hold here before it is dropped on purpose (rule 17). */
  readonly slotBudgetBytes: number;
  /** How long a broken lineage waits for the coordinator's salvage before this process resynchronises by itself; 0: at once. */
  readonly coordinatorGraceMs: number;
  readonly slotLockTimeoutMs: number;
  /** Conflated rows held while a batch is being applied; beyond it the socket is not read. */
  readonly pendingLimitBytes: number;
  readonly durableEveryMs: number;
  readonly fillLimitMs: number;
  /** Silence after which a connection counts as dead. */
  readonly silenceLimitMs: number;
  /** How often the catalogs of both ends are compared while changes stream (rule 36). */
  readonly definitionCheckMs: number;
  /** How long forget marks are kept at least. */
  readonly markRetentionDays: number;
}

export const DEFAULT_SETTINGS: ReplicatorSettings = {
  heartbeatMs: 1_000,
  slotBudgetBytes: 4 * 1024 ** 3,
  coordinatorGraceMs: 10_000,
  slotLockTimeoutMs: 10_000,
  pendingLimitBytes: 16 * 1024 ** 2,
  durableEveryMs: 200,
  fillLimitMs: 50,
  silenceLimitMs: 20_000,
  definitionCheckMs: 60_000,
  markRetentionDays: 30,
};
