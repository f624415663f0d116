import type { Failover } from '../../shared/domain/failover.ts';
import type { FeaturePolicy } from '../../shared/domain/feature-call.ts';
import type { FeatureCodes } from '../../shared/domain/feature-code.ts';
import type { DialRule } from '../../shared/domain/number.ts';
import type { Database, Queryable } from '../../shared/postgres/database.ts';
import type { LastCallsReader } from '../../shared/postgres/last-calls/last-calls-reader.ts';
import type { LastCallsWriter } from '../../shared/postgres/last-calls/last-calls-writer.ts';
import type { Comparison } from '../../shared/postgres/repair/compare.ts';
import type { AlertBoard } from '../../shared/redis/alert-board.ts';
import type { BanBoard } from '../../shared/redis/ban-board.ts';
import type { CallOnce } from '../../shared/redis/call-once.ts';
import type { KeptCalls } from '../../shared/ring/kept-calls.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { HealthOptions } from '../../shared/runtime/health.ts';
import type { Logger } from '../../shared/runtime/logger.ts';
import type { ConsoleSettings } from './console-settings.ts';
import type { NamedTerminals } from './named-terminals.ts';
import type { RateLimitOptions } from './rate-limits.ts';
import type { TerminalChanges } from './terminal-changes.ts';
import type { Tokens } from './tokens.ts';

export type FailoverJob = Pick<Failover, 'id' | 'site' | 'reason' | 'requestedBy'>;

/** What the site's rules say about recording and looking up. */
export interface CallPolicy {
  readonly codes: FeatureCodes;
  readonly features: FeaturePolicy;
  readonly dialRules: readonly DialRule[];
  readonly emergencyNumbers: readonly string[];
  readonly allowedSkewMs: number;
}

/** Everything the app works with, wired by main or by a test. */
export interface ApiDeps {
  readonly site: string;
  readonly domain: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly tokens: Tokens;
  /** PEM; null: without TLS. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | null;
  readonly limits: RateLimitOptions;
  /** Origins whose pages may ask. */
  readonly corsOrigins: readonly string[];
  /** A line in the log for each answer. */
  readonly accessLog: boolean;
  readonly trustedProxies: readonly string[];
  readonly loginSeconds: number;
  readonly policy: CallPolicy;
  /** This site's database as lastcall_app. */
  readonly database: Pick<Database, 'query' | 'transaction'>;
  readonly directory: Pick<NamedTerminals, 'find' | 'byId' | 'forget'>;
  readonly lookupBudgetMs: number;
  readonly statementBudgetMs: number;
  /** The other sites' databases as lastcall_coordinator, always as of now. */
  readonly peers: ReadonlyMap<string, Queryable>;
  readonly reader: Pick<LastCallsReader, 'read'>;
  readonly writer: Pick<LastCallsWriter, 'record'>;
  readonly kept: Pick<KeptCalls, 'synced'>;
  readonly callOnce: Pick<CallOnce, 'run'>;
  /** What the coordinator has told. */
  readonly alerts: Pick<AlertBoard, 'read'>;
  readonly terminalChanges: Pick<TerminalChanges, 'seen'>;
  readonly bans: Pick<BanBoard, 'list' | 'lift'>;
  /** The BullMQ queue that the coordinator works on; rejects when Redis is away. */
  readonly enqueueFailover: (request: FailoverJob) => Promise<void>;
  /** Compares every copy with its origin; with `repair` copies the origin's rows over what differs. */
  readonly compare: (repair: boolean) => Promise<Comparison>;
  readonly consoleSettings: ConsoleSettings;
  readonly health: HealthOptions;
}
