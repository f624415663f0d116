import type { Logger } from '../../shared/runtime/logger.ts';

export type CoordinatorLog = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'child'>;

/** What the flow and the watch need of the configuration. */
export interface CoordinatorSettings {
  /** Time between looks at the databases. */
  readonly watchMs: number;
  /** How long a change must stand before it is acted on. */
  readonly settleMs: number;
  /** How long a flow that says nothing more keeps its sites from others. */
  readonly leaseMs: number;
  readonly stepTimeoutMs: number;
  /** How long one look at a server may take before it counts as unreachable. */
  readonly lookDeadlineMs: number;
  readonly slotLockTimeoutMs: number;
  /** How long the replicators may take to go on and to carry a heartbeat across. */
  readonly barrierTimeoutMs: number;
  /** Run by a shell for each server that another was promoted past; {host} and {port} are replaced. */
  readonly fenceCommand: string | null;
}

export const DEFAULT_SETTINGS: CoordinatorSettings = {
  watchMs: 1_000,
  settleMs: 2_000,
  leaseMs: 7_000,
  stepTimeoutMs: 600_000,
  lookDeadlineMs: 2_000,
  slotLockTimeoutMs: 10_000,
  barrierTimeoutMs: 60_000,
  fenceCommand: null,
};
