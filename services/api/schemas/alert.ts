import { Type } from '@sinclair/typebox';
import { Nullable, Site } from './field-types.ts';

const Moment = Type.String({ description: 'RFC 3339, UTC', examples: ['2026-11-21T03:47:00.123Z'] });

export const Notice = Type.Object(
  {
    id: Type.String(),
    event: Type.String({ description: 'as docs/operations/alerts.md names it: site-unreachable and so on' }),
    phase: Type.String({ description: 'begin, reminder or end of a trouble; once for what has no duration' }),
    site: Site,
    from: Nullable(Site),
    to: Nullable(Site),
    reason: Nullable(Type.String()),
    detail: Type.Record(Type.String(), Type.Unknown()),
    at: Moment,
    since: Nullable(Moment),
    withheld: Type.Integer({ description: 'events that were not told since the notice before' }),
  },
  { title: 'Notice' },
);

export const AlertsAnswer = Type.Object({
  open: Type.Array(Notice, { description: 'troubles that last, the worst first, as they were told last' }),
  recent: Type.Array(Notice, { description: 'the last 200 notices, the newest first' }),
});
