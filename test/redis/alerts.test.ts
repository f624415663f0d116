import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { boardChannel, configuredChannels } from '../../services/coordinator/alerts/channels.ts';
import { AlertDispatcher } from '../../services/coordinator/alerts/dispatcher.ts';
import { lastcallEvent } from '../../shared/domain/alert.ts';
import { AlertBoard } from '../../shared/redis/alert-board.ts';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';

let redis: RedisServer;
let webhook: Server;
let smtp: TcpServer;
let alerts: AlertDispatcher;
let connection: RedisConnection;
/** Webhook bodies as they came, subjects of mails, lines of the command. */
let posted: { event: string; phase: string; since?: string }[];
let mails: string[];
let file: string;
/** How the webhook answers: never, or with a status. */
let answer: 'hang' | number;

beforeAll(async () => {
  redis = await startRedis();
  webhook = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    if (answer === 'hang') return;
    if (answer === 200) posted.push(JSON.parse(body));
    response.writeHead(answer).end();
  });
  smtp = createTcpServer((socket) => {
    let inData = false;
    socket.on('error', () => undefined);
    socket.write('220 test\r\n');
    socket.on('data', (data) => {
      const text = data.toString();
      if (inData) {
        mails.push(...(/^Subject: (.*)\r$/m.exec(text)?.slice(1) ?? []));
        if (!text.endsWith('\r\n.\r\n')) return;
        inData = false;
        socket.write('250 kept\r\n');
      } else if (/^DATA/i.test(text)) {
        inData = true;
        socket.write('354 go\r\n');
      } else if (/^QUIT/i.test(text)) socket.end('221 bye\r\n');
      else socket.write('250 ok\r\n');
    });
  });
  await Promise.all(
    [webhook, smtp].map((server) => new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))),
  );
});

afterAll(async () => {
  webhook?.closeAllConnections();
  webhook?.close();
  smtp?.close();
  await redis?.remove();
});

const port = (server: Server | TcpServer): number => (server.address() as { port: number }).port;

let sites = 0;
beforeEach(async () => {
  [posted, mails] = [[], []];
  file = join(mkdtempSync(join(tmpdir(), 'lastcall-alerts-')), 'told');
  connection = await connectRedis(redis.url);
  // A site of its own a test: what one leaves in its queues is not another's.
  sites++;
  alerts = openAlerts();
  alerts.start();
});

/** What REST, the command line and the console show. */
const board = (): AlertBoard => new AlertBoard(connection, `s${sites}`);

const openAlerts = (): AlertDispatcher =>
  new AlertDispatcher({
    site: `s${sites}`,
    redisUrl: redis.url,
    redis: connection,
    settleMs: 1_500,
    channels: [
      boardChannel(board()),
      ...configuredChannels(
        {
          command: `echo {event} $LASTCALL_PHASE >> ${file}`,
          webhookUrl: `http://127.0.0.1:${port(webhook)}/hook`,
          webhookSecret: null,
          mailTo: ['ops@example.net'],
          mailFrom: 'lastcall@example.net',
          smtpUrl: `smtp://127.0.0.1:${port(smtp)}`,
        },
        process.env,
      ),
    ],
    limits: { repeatMs: 1_000, most: 30, windowMs: 600_000 },
    log: pino({ level: 'silent' }),
    tickMs: 100,
  });

afterEach(async () => {
  webhook.closeAllConnections();
  await alerts.stop();
  await connection.close();
});

const lines = (): string[] => {
  try {
    return readFileSync(file, 'utf8').trim().split('\n');
  } catch {
    return [];
  }
};
const down = lastcallEvent('site-unreachable', 'b', { reason: 'ECONNREFUSED' });
const up = lastcallEvent('site-reachable', 'b');

test('b down, up, down: every channel hears each of them, and the last word is how it stands', async () => {
  answer = 200;
  for (const event of [down, up, down]) await alerts.tell(event);
  const outages = (told: readonly string[]) => told.filter((word) => !word.includes('reminder'));
  await waitFor(() => posted.length >= 3 && mails.length >= 3 && lines().length >= 3, {
    what: 'all channels to be told',
  });
  expect(outages(lines()).slice(0, 3).sort()).toEqual([
    'site-reachable end',
    'site-unreachable begin',
    'site-unreachable begin',
  ]);
  await waitFor(() => posted.some(({ phase }) => phase === 'reminder'), { what: 'the first reminder' });
  expect(posted.at(-1)).toMatchObject({ event: 'site-unreachable', phase: 'reminder' });
  expect(posted.filter(({ event }) => event === 'site-reachable')).toHaveLength(1);
});

test('the board shows what lasts, and what was told in its order; the end of a trouble takes it from what lasts', async () => {
  answer = 200;
  for (const event of [down, up, down]) await alerts.tell(event);
  await waitFor(async () => (await board().read()).recent.some(({ phase }) => phase === 'reminder'), {
    what: 'the first reminder',
  });
  const shown = await board().read();
  expect(shown.open).toMatchObject([{ event: 'site-unreachable', site: 'b', reason: 'ECONNREFUSED' }]);
  expect(shown.recent.map(({ phase }) => phase).filter((phase) => phase !== 'reminder')).toEqual(
    expect.arrayContaining(['begin', 'end']),
  );
  await alerts.tell(up);
  await waitFor(async () => (await board().read()).open.length === 0, { what: 'the end' });
});

test('a webhook that hangs delays neither mail nor command', async () => {
  answer = 'hang';
  const startedAt = performance.now();
  for (const event of [down, up, down]) await alerts.tell(event);
  await waitFor(() => mails.length >= 3 && lines().length >= 3, {
    what: 'mail and command',
    deadlineMs: 60_000,
  });
  expect(performance.now() - startedAt).toBeLessThan(8_000);
});

test('after thirty other events two primaries are told all the same', async () => {
  answer = 200;
  for (let n = 0; n < 40; n++) {
    await alerts.tell(lastcallEvent('failover-begun', 'b', { reason: String(n) }));
  }
  await alerts.tell(lastcallEvent('two-primaries', 'b'));
  await waitFor(() => posted.some(({ event }) => event === 'two-primaries'), {
    what: 'two-primaries to be told',
    deadlineMs: 60_000,
  });
  await waitFor(() => posted.filter(({ event }) => event === 'failover-begun').length === 30, {
    what: 'what the limit admits',
  });
});

test('a webhook that was away is told of the end, and never of the begin after it', async () => {
  answer = 503;
  await alerts.tell(down);
  await waitFor(() => lines().length > 0, { what: 'the command to be told' });
  answer = 200;
  await alerts.tell(up);
  await waitFor(() => posted.some(({ event }) => event === 'site-reachable'), { what: 'the end to be told' });
  // The begin's next tries lie within these seconds.
  const until = performance.now() + 7_000;
  await waitFor(() => performance.now() > until, { what: 'the retries', deadlineMs: 60_000 });
  expect(posted.at(-1)?.event).toBe('site-reachable');
});

test('a coordinator that starts again tells no trouble anew that it told before, and the end of one that ended meanwhile', async () => {
  answer = 200;
  const stopped = lastcallEvent('replication-stopped', 'a', {
    from: 'b',
    to: 'a',
    reason: 'peer-unreachable',
  });
  await alerts.tell(down);
  await alerts.tell(stopped);
  await waitFor(() => posted.length >= 2, { what: 'both troubles to be told' });
  const { since } = posted.find(({ event }) => event === down.event) ?? {};
  await alerts.stop();
  posted = [];
  alerts = openAlerts();
  alerts.start();
  // The first look finds the one, and not the other.
  await alerts.tell(down);
  await waitFor(() => posted.some(({ event }) => event === 'replication-started'), {
    what: 'the end of what ended meanwhile',
  });
  await waitFor(() => posted.some(({ event, phase }) => event === down.event && phase === 'reminder'), {
    what: 'a reminder of what lasts',
  });
  expect(posted.filter(({ phase }) => phase === 'begin')).toEqual([]);
  const reminder = posted.find(({ phase }) => phase === 'reminder');
  expect(Math.abs(Date.parse(reminder?.since ?? '') - Date.parse(since ?? ''))).toBeLessThan(3_000);
});

test('without Redis every channel is told all the same, and again while it lasts', async () => {
  answer = 503;
  await redis.kill();
  try {
    await alerts.tell(down);
    await waitFor(() => lines().length > 0 && mails.length > 0, { what: 'mail and command to be told' });
    answer = 200;
    await waitFor(() => posted.length > 0, { what: 'the webhook to be told when it is back' });
    expect(posted[0]).toMatchObject({ event: 'site-unreachable' });
  } finally {
    await redis.start();
  }
});
