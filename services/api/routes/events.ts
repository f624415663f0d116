import { Readable } from 'node:stream';
import { Type } from '@sinclair/typebox';
import { LastcallError } from '../../../shared/domain/errors.ts';
import type { ApiDeps } from '../deps.ts';
import { EventFeed } from '../event-feed.ts';
import { viewSite } from '../site-view.ts';
import type { ApiApp } from '../typebox-provider.ts';

const LOOK_EVERY_MS = 1_000;
const BEAT_MS = 15_000;
const MOST_WATCHERS = 200;
/** What a reader that reads nothing may have waiting. */
const MOST_BYTES = 1_048_576;

/** Server-sent events (the WHATWG HTML standard, 9.2). */
export function eventRoute(app: ApiApp, deps: ApiDeps): void {
  const feed = new EventFeed(() => viewSite(deps), LOOK_EVERY_MS);
  const open = new Set<Readable>();
  // A drain waits for answers, and these never end by themselves.
  app.addHook('preClose', async () => {
    for (const stream of open) stream.push(null);
  });
  app.get(
    '/v1/events',
    {
      config: { role: 'read' },
      schema: {
        tags: ['replication'],
        summary: 'Directions, failovers, alerts and changed terminals, as server-sent events',
        description:
          'Events are `directions` (as GET /v1/replication), `failovers` (as GET /v1/failovers), `failover` (the report of one that runs or was the latest), `alerts` (as GET /v1/alerts), `readiness` (as GET /readyz) and `terminals` (how many changes of terminals were seen, and the latest). Each holds the whole as it stands; a new listener is told everything. What cannot be read is not told.',
        response: { 200: Type.String({ contentMediaType: 'text/event-stream' }) },
      },
    },
    async (request, reply) => {
      if (open.size >= MOST_WATCHERS)
        throw new LastcallError('TOO_MANY_REQUESTS', {
          details: { what: 'watchers', retryAfterMs: BEAT_MS },
        });
      const stream = new Readable({ read() {} });
      const write = (text: string) => {
        if (stream.readableLength > MOST_BYTES) stream.destroy();
        else if (!stream.readableEnded && !stream.destroyed) stream.push(text);
      };
      open.add(stream);
      write('retry: 2000\n\n');
      const unsubscribe = feed.subscribe(({ data, event }) =>
        write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
      );
      const beat = setInterval(() => write(': beat\n\n'), BEAT_MS);
      // A token that is revoked, or has expired, ends what was begun with it.
      const check = setInterval(async () => {
        const principal = await deps.tokens.identify(request.headers.authorization).catch(() => 'unread');
        if (principal === null) stream.destroy();
      }, LOOK_EVERY_MS);
      const end = () => {
        clearInterval(beat);
        clearInterval(check);
        unsubscribe();
        open.delete(stream);
      };
      stream.on('close', end);
      reply.raw.on('close', () => stream.destroy());
      return reply
        .type('text/event-stream')
        .headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
        .send(stream as never);
    },
  );
}
