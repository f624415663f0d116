import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  type Channel,
  type ChannelSettings,
  configuredChannels,
} from '../../../services/coordinator/alerts/channels.ts';
import { asLastKnown, deriveEvents, type Round } from '../../../services/coordinator/alerts/derive.ts';
import { journalInMemory } from '../../../services/coordinator/alerts/journal-in-memory.ts';
import type { SiteObservation } from '../../../services/coordinator/observe.ts';
import type { Bookkeeping } from '../../../services/coordinator/site-state.ts';
import { type EventName, lastcallEvent, type Notice } from '../../../shared/domain/alert.ts';
import { micros } from '../../../shared/domain/micros.ts';
import { startHealth } from '../../../shared/runtime/health.ts';
import { Metrics } from '../../../shared/runtime/metrics.ts';
import { observation, observations, siteView, slot } from './views.ts';

const OPTIONS = { home: 'a', allowedSkewMs: 5_000 };

function round(
  a: Partial<SiteObservation> & { books?: Partial<Bookkeeping> } = {},
  journalled: number | null = 0,
): Round {
  const site = observation(siteView('a', 'b'));
  const bookkeeping = { ...(site.bookkeeping as Bookkeeping), ...a.books };
  return {
    seen: observations({ ...site, bookkeeping, ...a }, observation(siteView('b', 'a'))),
    clockAt: micros(0),
    journalled,
  };
}
const status = (state: string, reason: string | null = null) => ({
  books: { statuses: [{ peer: 'b', state, reason }] },
});
const away = observation({ site: 'a', reachable: false, reason: 'ECONNREFUSED' });
const names = (before: Round | null, after: Round): EventName[] =>
  deriveEvents(before, after, OPTIONS).map(({ event }) => event);

test.each<readonly [string, Round | null, Round, readonly EventName[]]>([
  ['nothing changed', round(), round(), []],
  ['the first look tells no standstill that was there before', null, round(status('stopped', 'paused')), []],
  ['replication began', round(status('resyncing')), round(status('streaming')), ['replication-started']],
  ['catching up is running', round(status('catching-up')), round(status('streaming')), []],
  [
    'replication stopped',
    round(status('streaming')),
    round(status('stopped', 'peer-unreachable')),
    ['replication-stopped'],
  ],
  [
    'a direction needs a resynchronisation',
    round(status('streaming')),
    round(status('needs-resync', 'gap')),
    ['needs-resync'],
  ],
  ['a database went away', round(), round(away), ['site-unreachable']],
  ['a database came back', round(away), round(), ['site-reachable']],
  [
    'the first look finds a standstill that nobody asked for',
    null,
    round(status('stopped', 'peer-unreachable')),
    ['replication-stopped'],
  ],
  [
    'what was starting at the first look did not start',
    round(status('stopped', 'starting')),
    round(status('stopped', 'peer-unreachable')),
    ['replication-stopped'],
  ],
  ['records wait in the journal', round(), round({}, 3), ['journal-in-use']],
  [
    'records stand in memory alone, Redis being away as well',
    round({}, 3),
    { ...round({}, 4), inMemory: 1 },
    ['journal-in-use'],
  ],
  ['the journal drained', round({}, 3), round({}, 0), ['journal-drained']],
  ['Redis away says nothing of the journal', round({}, 3), round({}, null), []],
  ['a clock is off', round(), round({ books: { clockAt: micros(9e6) } }), ['clock-skew']],
  [
    'a clock is still off',
    round({ books: { clockAt: micros(8e6) } }),
    round({ books: { clockAt: micros(9e6) } }),
    [],
  ],
  [
    'rule 17 a slot has used half of its budget',
    round({ slots: new Map([['b', slot('0/1', { retainedBytes: 49, safeWalBytes: 51 })]]) }),
    round({ slots: new Map([['b', slot('0/1', { retainedBytes: 50, safeWalBytes: 50 })]]) }),
    ['slot-budget'],
  ],
  ['a clock is right again', round({ books: { clockAt: micros(9e6) } }), round(), ['clock-right']],
  [
    'a slot is read again',
    round({ slots: new Map([['b', slot('0/1', { retainedBytes: 50, safeWalBytes: 50 })]]) }),
    round({ slots: new Map([['b', slot('0/1', { retainedBytes: 5, safeWalBytes: 95 })]]) }),
    ['slot-budget-freed'],
  ],
  [
    'one server of a site takes writes again',
    round({ hosts: ['h1', 'h2'].map((host) => ({ host, state: 'primary' as const })) }),
    round(),
    ['one-primary'],
  ],
  [
    'two servers of a site take writes',
    round(),
    round({ hosts: ['h1', 'h2'].map((host) => ({ host, state: 'primary' as const })) }),
    ['two-primaries'],
  ],
  [
    'rule 28 only a server answers that another was promoted past',
    round(),
    round({ hosts: [{ host: 'h1', state: 'left-behind' as const }] }),
    ['two-primaries'],
  ],
  [
    'rule 28 the one that was left behind is away, and nobody else answers: it may still take writes',
    round({ hosts: [{ host: 'h1', state: 'left-behind' as const }] }),
    round({ hosts: [{ host: 'h1', state: 'unreachable' as const }] }),
    [],
  ],
])('when %s', (_name, before, after, events) => {
  expect(names(before, after)).toEqual(events);
});

test('what a round could not see is neither over nor new', () => {
  const books = { ...status('stopped', 'peer-unreachable').books, clockAt: micros(5.5e6) };
  const stopped = round({ books }, 3);
  const blind = asLastKnown(stopped, { ...round(away, null), clockAt: micros(1e6) });
  expect(names(stopped, blind)).toEqual(['site-unreachable']);
  expect(names(blind, stopped)).toEqual(['site-reachable']);
});

test("records that only a process's ring file holds are counted at its metrics listener", async () => {
  const metrics = new Metrics({ site: 'a' });
  const gauge = metrics.gauge('journal_terminals', 'As call-control has it', ['kept']);
  gauge.set({ kept: 'redis' }, 5);
  gauge.set({ kept: 'ring' }, 7);
  const listen = { host: '127.0.0.1', port: 0 };
  expect(await journalInMemory([listen]), 'no listener is known').toBeNull();
  const health = await startHealth({ metrics, draining: () => false, checks: {} }, listen);
  const { port } = health.server.address() as { port: number };
  const [known, closed] = [
    { host: '127.0.0.1', port },
    { host: '127.0.0.1', port: 1 },
  ];
  expect(await journalInMemory([known, closed])).toBe(7);
  await health.close();
  expect(await journalInMemory([known, closed]), 'nobody answers').toBeNull();
});

const NOTICE: Notice = {
  ...lastcallEvent('failover-ended', 'a', {
    reason: `$(touch /tmp/never) "; exit 1; '`,
    detail: { salvagedRows: 7 },
  }),
  id: 'n-1',
  at: '2026-11-21T04:00:00.000Z',
  phase: 'once',
  since: null,
  withheld: 0,
};
const NOTHING: ChannelSettings = {
  command: null,
  webhookUrl: null,
  webhookSecret: null,
  mailTo: [],
  mailFrom: 'l@h',
  smtpUrl: null,
};
const only = (settings: Partial<ChannelSettings>): Channel =>
  configuredChannels({ ...NOTHING, ...settings }, process.env)[0] as Channel;

test('a command gets the event in its placeholders, and a reason is never read as a command', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'lastcall-alert-')), 'told');
  await only({ command: `printf '%s|%s|%s' {event} "{reason}" "$LASTCALL_DETAIL" > ${file}` }).send(NOTICE);
  expect(readFileSync(file, 'utf8')).toBe(`failover-ended|${NOTICE.reason}|{"salvagedRows":7}`);
  await expect(only({ command: 'exit 3' }).send(NOTICE)).rejects.toThrow('3');
});

test('a webhook is signed over the time of sending and the body, and is tried again when it is not taken', async () => {
  const requests: { headers: IncomingMessage['headers']; body: string }[] = [];
  const answers = [503, 200];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    requests.push({ headers: request.headers, body });
    response.writeHead(answers.shift() ?? 200).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const channel = only({ webhookUrl: `http://127.0.0.1:${port}/hook`, webhookSecret: 'key' });
  await expect(channel.send(NOTICE)).rejects.toThrow('503');
  await channel.send(NOTICE);
  server.close();
  const [, { headers, body }] = requests as [unknown, (typeof requests)[number]];
  const [, sentAt = '', mac] = /^t=([^,]+),v1=(.+)$/.exec(String(headers['lastcall-signature'])) ?? [];
  expect(
    Math.abs(Date.parse(sentAt) - Date.now()),
    'the time of this attempt, not of the event',
  ).toBeLessThan(10_000);
  expect(mac).toBe(createHmac('sha256', 'key').update(`${sentAt}.${body}`).digest('hex'));
  expect(JSON.parse(body)).toEqual({ ...NOTICE });
});

test('a mail has the event in its subject and the figures in its text', async () => {
  let mail = '';
  const server = createTcpServer((socket) => {
    let inData = false;
    socket.write('220 test\r\n');
    socket.on('data', (data) => {
      const text = data.toString();
      if (inData) {
        mail += text;
        if (mail.endsWith('\r\n.\r\n')) {
          inData = false;
          socket.write('250 kept\r\n');
        }
      } else if (/^DATA/i.test(text)) {
        inData = true;
        socket.write('354 go\r\n');
      } else if (/^QUIT/i.test(text)) socket.end('221 bye\r\n');
      else socket.write('250 ok\r\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await only({ smtpUrl: `smtp://127.0.0.1:${port}`, mailTo: ['ops@example.net'] }).send({
    ...NOTICE,
    reason: 'done',
  });
  server.close();
  expect(mail).toContain('Subject: [lastcall a] failover-ended: done');
  expect(mail).toContain('To: ops@example.net');
  expect(mail).toContain('salvagedRows: 7');
});
