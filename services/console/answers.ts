/** What the REST API answers, as far as the console reads it (docs/api.md). Dates are RFC 3339, UTC, six decimals. */

import type { DirectionState } from '../../shared/domain/direction-state.ts';

export type { DirectionState };

export interface Direction {
  readonly from: string;
  readonly to: string;
  readonly state: DirectionState;
  readonly reason: string | null;
  readonly lagBytes: number | null;
  readonly lagMs: number | null;
  readonly appliedLsn: string | null;
  readonly timeline: number | null;
  readonly slot: {
    readonly walStatus: string | null;
    readonly retainedBytes: number | null;
    readonly budgetBytes: number | null;
    readonly etaSeconds: number | null;
  };
  readonly rowsReceived: number;
  readonly rowsApplied: number;
  readonly updatedAt: string | null;
  readonly paused: boolean;
  readonly fencedBy: string | null;
}

export interface Replication {
  readonly site: string;
  readonly directions: readonly Direction[];
}

export interface Failover {
  readonly id: string;
  readonly site: string;
  readonly reason: string;
  readonly requestedBy: string;
  readonly state: string;
  readonly error: string | null;
  readonly salvagedRows: number;
  readonly salvagedMarks: number;
  readonly requestedAt: string;
  readonly endedAt: string | null;
}

export interface FailoverStep {
  readonly direction: string;
  readonly step: string;
  readonly state: string;
  readonly attempts: number;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface FailoverReport extends Failover {
  readonly steps: readonly FailoverStep[];
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
