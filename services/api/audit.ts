import type { FastifyRequest } from 'fastify';
import { type Change, recordChange, withoutSecrets } from '../../shared/postgres/audit-log.ts';
import type { Queryable } from '../../shared/postgres/database.ts';
import type { ApiApp } from './typebox-provider.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A change that no admin token asked for, and that is written down all the same. */
    readonly audited?: boolean;
  }
}

/** Every change that was made is in the audit log before its answer leaves. One that cannot be written down is logged instead: it is made. */
export function auditChanges(app: ApiApp, database: Queryable): void {
  app.addHook('onSend', async (request, reply, payload) => {
    const { audited, role } = request.routeOptions.config;
    const changes = audited || (role === 'admin' && request.method !== 'GET' && request.method !== 'HEAD');
    if (!changes || reply.statusCode >= 300) return payload;
    const change = changeOf(request);
    await recordChange(database, change).catch((err: unknown) => {
      request.log.error({ err, change }, 'a change is not in the audit log');
    });
    return payload;
  });
}

function changeOf(request: FastifyRequest): Change {
  const { body, headers, id, ip, params, principal, query } = request;
  const asked = { ...Object(params), ...Object(query), ...Object(body) } as Record<string, unknown>;
  const agent = headers['user-agent'];
  return {
    who: principal?.name ?? 'a one-time code',
    via: 'rest',
    source: ip,
    what: `${request.method} ${request.routeOptions.url ?? ''}`,
    details: {
      ...(withoutSecrets(asked) as Record<string, unknown>),
      ...(agent !== undefined && { agent: agent.slice(0, 200) }),
    },
    requestId: id,
  };
}
