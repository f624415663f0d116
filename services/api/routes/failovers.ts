import { randomUUID } from 'node:crypto';
import { Type } from '@sinclair/typebox';
import { LastcallError } from '../../../shared/domain/errors.ts';
import {
  failoverJson,
  failoverReportJson,
  insertFailover,
  listFailovers,
  readFailover,
} from '../../../shared/postgres/directions/failovers.ts';
import type { ApiDeps, FailoverJob } from '../deps.ts';
import { Failover, FailoverReport, FailoverRequestBody } from '../schemas/replication.ts';
import type { ApiApp } from '../typebox-provider.ts';

const tags = ['failovers'];

export function failoverRoutes(app: ApiApp, deps: ApiDeps): void {
  app.post(
    '/v1/failovers',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary:
          'After a promotion at a site: rebuild what must be rebuilt, keeping every row that any site holds',
        body: FailoverRequestBody,
        response: { 202: Type.Object({ id: Type.String() }) },
      },
    },
    async ({ body }, reply) => {
      if (body.site !== deps.site && !deps.peers.has(body.site)) {
        throw new LastcallError('SITE_UNKNOWN', {
          details: { site: body.site, known: [deps.site, ...deps.peers.keys()] },
        });
      }
      const id = randomUUID();
      const { site, reason = 'operator', requestedBy = 'api' } = body;
      await keep(deps, { id, site, reason, requestedBy });
      reply.header('location', `/v1/failovers/${id}`);
      return reply.code(202).send({ id });
    },
  );

  app.get(
    '/v1/failovers',
    {
      config: { role: 'read' },
      schema: {
        tags,
        summary: 'The latest failovers, newest first',
        querystring: Type.Object({
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 50 })),
        }),
        response: { 200: Type.Object({ failovers: Type.Array(Failover) }) },
      },
    },
    async ({ query: { limit = 50 } }) => ({
      failovers: (await listFailovers(deps.database, limit)).map(failoverJson),
    }),
  );

  app.get(
    '/v1/failovers/:id',
    {
      config: { role: 'read' },
      schema: {
        tags,
        summary: 'The report: every step with its time, counts and salvaged rows',
        params: Type.Object({
          id: Type.String({ pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' }),
        }),
        response: { 200: FailoverReport },
      },
    },
    async ({ params: { id } }) => {
      const report = await readFailover(deps.database, id);
      if (!report) throw new LastcallError('FAILOVER_NOT_FOUND', { details: { id } });
      return failoverReportJson(report);
    },
  );
}

/** In PostgreSQL and as a job: either is enough for the coordinator to find it. Throws `REQUEST_NOT_KEPT` when both are away. */
async function keep(deps: ApiDeps, request: FailoverJob): Promise<void> {
  const kept = await Promise.allSettled([
    insertFailover(deps.database, request),
    deps.enqueueFailover(request),
  ]);
  if (kept.some((result) => result.status === 'fulfilled')) return;
  const reasons = kept.map((result) => (result.status === 'rejected' ? String(result.reason) : ''));
  throw new LastcallError('REQUEST_NOT_KEPT', { details: { postgres: reasons[0], redis: reasons[1] } });
}
