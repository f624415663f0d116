import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { ApiApp } from './typebox-provider.ts';

const GIVEN = /^[\w.:-]{1,64}$/;

/** The asker's own x-request-id when it is one, else a new one. */
export function requestId({ headers }: IncomingMessage): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && GIVEN.test(given) ? given : randomUUID();
}

/** The id goes into every answer and every line of the log; `log`: a line for each answer. Routes are logged, never paths: a path holds numbers. */
export function nameRequests(app: ApiApp, log: boolean): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    const { url } = request.routeOptions;
    const level = log && url?.startsWith('/v1/') ? 'info' : 'debug';
    request.log[level](
      {
        method: request.method,
        route: url ?? 'none',
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        source: request.ip,
        who: request.principal?.name,
      },
      'answered',
    );
  });
}
