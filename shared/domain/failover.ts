import type { Micros } from './micros.ts';

export type FailoverState = 'running' | 'done' | 'failed' | 'superseded';
export type FailoverStepState = 'running' | 'done' | 'skipped' | 'failed';

/** `At`: {@link Micros}, or RFC 3339 over REST. */
export interface Failover<At = Micros> {
  readonly id: string;
  readonly site: string;
  readonly reason: string;
  readonly requestedBy: string;
  readonly state: FailoverState;
  readonly error: string | null;
  readonly salvagedRows: number;
  readonly salvagedMarks: number;
  readonly requestedAt: At;
  readonly endedAt: At | null;
}

export interface FailoverStep<At = Micros> {
  /** `a>b` */
  readonly direction: string;
  readonly step: string;
  readonly state: FailoverStepState;
  readonly attempts: number;
  readonly startedAt: At;
  readonly endedAt: At | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface FailoverReport<At = Micros> extends Failover<At> {
  readonly steps: readonly FailoverStep<At>[];
}
