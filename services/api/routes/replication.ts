import { Type } from '@sinclair/typebox';
import { LastcallError } from '../../../shared/domain/errors.ts';
import type { Queryable } from '../../../shared/postgres/database.ts';
import { requestResync, setPaused } from '../../../shared/postgres/directions/replication-control.ts';
import { readSites } from '../../../shared/postgres/last-calls/read-last-calls.ts';
import type { ApiDeps } from '../deps.ts';
import { Site } from '../schemas/field-types.ts';
import { ReplicationAnswer, SteerAnswer } from '../schemas/replication.ts';
import { replicationJson } from '../site-view.ts';
import type { ApiApp } from '../typebox-provider.ts';

const tags = ['replication'];
const ACTIONS = {
  resync: { summary: "Copy `from`'s tables to `to` anew", write: requestResync },
  pause: {
    summary: 'Stop the flow; the slot keeps its place',
    write: (db, from) => setPaused(db, from, true),
  },
  resume: { summary: 'Let the flow go on', write: (db, from) => setPaused(db, from, false) },
} as const satisfies Record<
  string,
  { summary: string; write: (...to: Parameters<typeof requestResync>) => Promise<void> }
>;

export function replicationRoutes(app: ApiApp, deps: ApiDeps): void {
  const databases = () => new Map<string, Queryable>([[deps.site, deps.database], ...deps.peers]);

  app.get(
    '/v1/replication',
    {
      config: { role: 'read' },
      schema: {
        tags,
        summary: 'Every direction, as its subscriber reports it',
        response: { 200: ReplicationAnswer },
      },
    },
    () => replicationJson(deps),
  );

  for (const [action, { summary, write }] of Object.entries(ACTIONS)) {
    app.post(
      `/v1/replication/:from/:to/${action}`,
      {
        config: { role: 'admin' },
        schema: {
          tags,
          summary,
          description: "Written into the subscriber's database, where its replicator hears of it at once.",
          params: Type.Object({ from: Site, to: Site }),
          response: { 202: SteerAnswer },
        },
      },
      async ({ params: { from, to } }, reply) => {
        await write(await subscriber(databases(), from, to), from, 'operator');
        return reply.code(202).send({ from, to, action, accepted: true });
      },
    );
  }
}

/** The database of `to`, which must know `from`. */
async function subscriber(databases: ReadonlyMap<string, Queryable>, from: string, to: string) {
  const database = databases.get(to);
  if (!database)
    throw new LastcallError('SITE_UNKNOWN', { details: { site: to, known: [...databases.keys()] } });
  if (from === to)
    throw new LastcallError('INVALID_VALUE', { details: { message: 'from and to are the same site' } });
  const known = (await readSites(database)).map((entry) => entry.site);
  if (!known.includes(from)) throw new LastcallError('SITE_UNKNOWN', { details: { site: from, known } });
  return database;
}
