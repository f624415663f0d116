import { Type } from '@sinclair/typebox';
import { DIRECTION_STATES } from '../../../shared/domain/direction-state.ts';
import { Nullable, Site, Timestamp } from './field-types.ts';

const Count = Type.Integer();

export const Direction = Type.Object(
  {
    from: Site,
    to: Site,
    state: Type.Union(DIRECTION_STATES.map((state) => Type.Literal(state))),
    reason: Nullable(Type.String()),
    lagBytes: Nullable(Count),
    lagMs: Nullable(Type.Number()),
    appliedLsn: Nullable(Type.String()),
    timeline: Nullable(Count),
    slot: Type.Object({
      walStatus: Nullable(Type.String()),
      retainedBytes: Nullable(Count),
      budgetBytes: Nullable(Count),
      etaSeconds: Nullable(Type.Number({ description: 'until the budget is used up' })),
    }),
    rowsReceived: Count,
    rowsApplied: Count,
    receivedAt: Nullable(Timestamp),
    updatedAt: Nullable(Timestamp),
    paused: Type.Boolean(),
    fencedBy: Nullable(Type.String({ description: 'the failover that holds this direction' })),
    kinds: Type.Array(
      Type.Object({
        kind: Type.String(),
        state: Type.String({ description: 'streaming, needs-resync or held-back' }),
        reason: Nullable(Type.String({ description: 'waiting-for-peer, columns-held-back and so on' })),
        detail: Nullable(Type.String()),
      }),
      { description: 'the tables of this direction that do not simply stream' },
    ),
  },
  { title: 'Direction' },
);

export const ReplicationAnswer = Type.Object({ site: Site, directions: Type.Array(Direction) });
export const SteerAnswer = Type.Object({
  from: Site,
  to: Site,
  action: Type.String(),
  accepted: Type.Boolean(),
});

export const FailoverRequestBody = Type.Object(
  {
    site: Site,
    reason: Type.Optional(Type.String({ minLength: 1, maxLength: 200, default: 'operator' })),
    requestedBy: Type.Optional(Type.String({ minLength: 1, maxLength: 100, default: 'api' })),
  },
  { additionalProperties: false },
);

export const Failover = Type.Object(
  {
    id: Type.String(),
    site: Site,
    reason: Type.String(),
    requestedBy: Type.String(),
    state: Type.String({ description: 'running, done, failed or superseded' }),
    error: Nullable(Type.String()),
    salvagedRows: Count,
    salvagedMarks: Count,
    requestedAt: Timestamp,
    endedAt: Nullable(Timestamp),
  },
  { title: 'Failover' },
);

export const FailoverReport = Type.Object(
  {
    ...Failover.properties,
    steps: Type.Array(
      Type.Object({
        direction: Type.String(),
        step: Type.String(),
        state: Type.String({ description: 'running, done, skipped or failed' }),
        attempts: Count,
        startedAt: Timestamp,
        endedAt: Nullable(Timestamp),
        detail: Type.Record(Type.String(), Type.Unknown()),
      }),
    ),
  },
  { title: 'FailoverReport' },
);
