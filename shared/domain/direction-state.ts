import type { Micros } from './micros.ts';

/** What a direction, or the feed of a target, is doing. Written by the replicator alone. */
export const DIRECTION_STATES = ['streaming', 'catching-up', 'resyncing', 'needs-resync', 'stopped'] as const;
export type DirectionState = (typeof DIRECTION_STATES)[number];

/** Whether changes arrive. */
export const isFlowing = (state: string): boolean => state === 'streaming' || state === 'catching-up';

/** One direction as its subscriber reports it; null where nothing is known. `At`: {@link Micros}, or RFC 3339 over REST. */
export interface DirectionStatus<At = Micros> {
  readonly from: string;
  readonly to: string;
  readonly state: DirectionState;
  /** Why it does not stream; one word of the replicator, or `never-started`, `replicator-silent`, `peer-unreachable`. */
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
  readonly receivedAt: At | null;
  readonly updatedAt: At | null;
  readonly paused: boolean;
  /** The failover that holds this direction. */
  readonly fencedBy: string | null;
  /** The kinds of it that do not simply stream. */
  readonly kinds: readonly KindStatus[];
}

/** One kind of a direction, such as `held-back`, `waiting-for-peer`. */
export interface KindStatus {
  readonly kind: string;
  readonly state: string;
  readonly reason: string | null;
  readonly detail: string | null;
}
