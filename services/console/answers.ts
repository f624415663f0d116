/** What the REST API answers, as far as the console reads it (docs/api.md). Dates are RFC 3339, UTC, six decimals. */

import type { DirectionStatus } from '../../shared/domain/direction-state.ts';
import type {
  Failover as FailoverOf,
  FailoverReport as FailoverReportOf,
} from '../../shared/domain/failover.ts';

export type Direction = DirectionStatus<string>;
export type Failover = FailoverOf<string>;
export type FailoverReport = FailoverReportOf<string>;
export type { Alerts, Notice } from '../../shared/domain/alert.ts';

export interface Replication {
  readonly site: string;
  readonly directions: readonly Direction[];
}

export interface Readiness {
  readonly status: string;
  readonly checks: Readonly<Record<string, { readonly state: string; readonly reason?: string }>>;
}

export interface Terminal {
  readonly terminalId: number;
  readonly username: string;
  readonly aor: string;
  readonly number: string;
  readonly features: readonly string[];
  readonly enabled: boolean;
}

export interface TerminalPage {
  readonly terminals: readonly Terminal[];
  readonly next: number | null;
}

export interface TableEntry {
  readonly number: string | null;
  readonly at: string;
}

export interface ChosenEntry extends TableEntry {
  readonly site: string;
  readonly withheld: boolean;
}

export const GROUPS = ['dialed', 'received', 'terminated'] as const;
export type GroupName = (typeof GROUPS)[number];

export type LastCalls = {
  readonly terminalId: number;
  readonly tables: Readonly<Record<string, Readonly<Record<GroupName, TableEntry | null>> | null>>;
  readonly degraded: boolean;
  readonly unreadable: readonly string[];
} & Readonly<Record<GroupName, ChosenEntry | null>>;

export interface Target {
  readonly number: string;
  readonly site: string;
  readonly at: string;
  readonly ageMs: number;
  readonly degraded: boolean;
}

export interface SoftphoneServer {
  readonly scheme: 'ws' | 'wss';
  readonly host: string | null;
  readonly port: number;
}

export interface ConsoleInfo {
  readonly site: string;
  readonly domain: string;
  readonly codes: readonly { readonly code: string; readonly feature: string }[];
  readonly servers: readonly SoftphoneServer[];
}

export interface Account {
  readonly username: string;
  readonly password: string;
}
