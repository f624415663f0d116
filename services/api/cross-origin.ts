import type { ApiApp } from './typebox-provider.ts';

const MAX_AGE_SECONDS = 600;
const EXPOSED = 'etag, location, retry-after, x-request-id, ratelimit-limit, ratelimit-remaining';

/** Lets pages of the given origins ask (the Fetch standard's CORS protocol). Without an origin no answer says anything about it. */
export function allowOrigins(app: ApiApp, origins: readonly string[]): void {
  if (origins.length === 0) return;
  app.addHook('onRequest', async (request, reply) => {
    reply.header('vary', 'Origin');
    const { origin } = request.headers;
    if (origin === undefined || !origins.includes(origin)) return;
    reply.headers({ 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED });
    if (request.method !== 'OPTIONS' || !request.headers['access-control-request-method']) return;
    return reply
      .code(204)
      .headers({
        'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
        'access-control-allow-headers': 'authorization, content-type, if-match, if-none-match, x-request-id',
        'access-control-max-age': MAX_AGE_SECONDS,
      })
      .send();
  });
}
