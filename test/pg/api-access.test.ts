import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EventName, lastcallEvent, type Notice } from '../../shared/domain/alert.ts';
import { AlertBoard } from '../../shared/redis/alert-board.ts';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { elapsedMs } from '../support/elapsed.ts';
import { withClient } from '../support/postgres.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';
import { runCli } from '../unit/cli/run-cli.ts';
import { openEvents } from './event-stream.ts';
import { type Answer, type StartedApi, startApi } from './started-api.ts';
import { ADMIN_TOKEN, READ_TOKEN, startTwoSites, type TwoSites } from './two-sites.ts';

let sites: TwoSites;
let redis: RedisServer;
let api: StartedApi;
let config: string;
let port: number;
let connection: RedisConnection;
/** As the coordinator has it. */
let board: AlertBoard;
const ORIGIN = 'https://console.example.net';
const overrides = (more: object = {}) => ({
  redis: { url: redis.url },
  api: {
    listen: `127.0.0.1:${port}`,
    corsOrigins: [ORIGIN],
    tokens: [
      { token: ADMIN_TOKEN, role: 'admin' },
      { token: READ_TOKEN, role: 'read' },
    ],
    ...more,
  },
});
beforeAll(async () => {
  [sites, redis] = await Promise.all([startTwoSites(), startRedis()]);
  port = await freePort();
  config = sites.configFile('a', overrides());
  api = await startApi(sites.config('a', overrides()), { listen: true });
  connection = await connectRedis(redis.url);
  board = new AlertBoard(connection, 'a');
});
afterAll(async () => {
  await api.stop();
  await connection.close();
  await Promise.all([sites.server.remove(), redis.remove()]);
});

const cli = (...argv: string[]) => runCli([...argv, '--json', '--config', config]);
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const ask = (token: string, url = '/v1/terminals', from: string | undefined = undefined) =>
  api.app.inject({ url, headers: bearer(token), ...(from && { remoteAddress: from }) });
const sql = (text: string) =>
  withClient(sites.ownerUrl('a'), async (client) => (await client.query(text)).rows);
const login = (code: string): Promise<Answer> => api.request('POST', '/v1/console/login', { code });

describe('tokens', () => {
  it('one that is made is good at once with its role, and the database holds no token', async () => {
    const made = await api.request('POST', '/v1/tokens', { name: 'pbx-1', role: 'record' });
    expect(made).toMatchObject({ status: 201, headers: { 'cache-control': 'no-store' } });
    expect(made.json).toMatchObject({ name: 'pbx-1', role: 'record', createdBy: 'api.tokens.0' });
    expect((await ask(made.json.token)).statusCode).toBe(200);
    const denied = await api.request('POST', '/v1/terminals', {}, bearer(made.json.token));
    expect(denied.json).toMatchObject({ status: 403, code: 'ROLE_INSUFFICIENT' });
    const stored = JSON.stringify(await sql('SELECT * FROM lastcall.api_tokens'));
    expect(stored).not.toContain(made.json.token);
    const { json, text } = await api.request('GET', '/v1/tokens');
    expect(json.tokens).toMatchObject([{ name: 'pbx-1', role: 'record', oneTime: false }]);
    expect(text).not.toContain(made.json.token);
  });

  it('one that the command line makes is good with the next request, and bad right after it is revoked', async () => {
    const { token } = JSON.parse(
      (await cli('tokens', 'add', 'ops', '--role', 'read', '--expires', '1h')).out,
    );
    expect((await ask(token)).statusCode).toBe(200);
    expect(await cli('tokens', 'revoke', 'ops')).toMatchObject({ exit: 0 });
    // The revocation travels by NOTIFY, in the transaction that made it.
    const took = await elapsedMs(() =>
      waitFor(async () => (await ask(token)).statusCode === 401, { what: '401', everyMs: 2 }),
    );
    expect(took).toBeLessThan(500);
  });

  it('one that REST revokes is bad with the next request', async () => {
    const { json } = await api.request('POST', '/v1/tokens', { name: 'short', role: 'read' });
    expect((await ask(json.token)).statusCode).toBe(200);
    expect((await api.request('DELETE', '/v1/tokens/short')).status).toBe(204);
    expect((await ask(json.token)).statusCode).toBe(401);
    expect((await api.request('DELETE', '/v1/tokens/short')).json).toMatchObject({ code: 'TOKEN_NOT_FOUND' });
  });

  it('one that has expired is none, and its name is free again', async () => {
    const body = { name: 'brief', role: 'read', expiresInSeconds: 1 };
    const { json } = await api.request('POST', '/v1/tokens', body);
    expect((await api.request('POST', '/v1/tokens', body)).json).toMatchObject({
      status: 409,
      code: 'TOKEN_EXISTS',
    });
    await waitFor(async () => (await ask(json.token)).statusCode === 401, { what: 'the expiry' });
    expect((await api.request('POST', '/v1/tokens', { name: 'brief', role: 'read' })).status).toBe(201);
  });

  it('when one was last used is known', async () => {
    const { json } = await api.request('POST', '/v1/tokens', { name: 'used', role: 'read' });
    const later = await startApi(sites.config('a', overrides()));
    const headers = bearer(json.token);
    expect((await later.app.inject({ url: '/v1/terminals', headers })).statusCode).toBe(200);
    const entry = async () =>
      (await api.request('GET', '/v1/tokens')).json.tokens.find((t: { name: string }) => t.name === 'used');
    await waitFor(async () => (await entry()).lastUsedAt, { what: 'the time of use' });
    await later.stop();
  });

  it.each([
    [{ name: 'bad name', role: 'read' }],
    [{ name: 'x', role: 'root' }],
    [{ name: 'x' }],
    [{ name: 'x', role: 'admin', oneTime: true, expiresInSeconds: null }],
  ])('%j makes none', async (body) => {
    expect((await api.request('POST', '/v1/tokens', body)).json).toMatchObject({ status: 400 });
  });

  it('the command line says what is wrong with one', async () => {
    expect(await cli('tokens', 'add', 'bad name', '--role', 'read')).toMatchObject({ exit: 2 });
    expect(await cli('tokens', 'add', 'x', '--role', 'root')).toMatchObject({ exit: 2 });
    expect(await cli('tokens', 'add', 'x', '--role', 'read', '--expires', 'soon')).toMatchObject({ exit: 2 });
    expect(
      await cli('tokens', 'add', 'x', '--role', 'read', '--one-time', '--expires', 'never'),
    ).toMatchObject({ exit: 2 });
    expect((await cli('tokens', 'revoke', 'nobody')).out).toContain('TOKEN_NOT_FOUND');
    expect(JSON.parse((await cli('tokens', 'list')).out)).toContainEqual(
      expect.objectContaining({ name: 'pbx-1', role: 'record' }),
    );
  });
});

describe('POST /v1/console/login', () => {
  it('a code is exchanged for a token of twelve hours, once, whoever is second', async () => {
    const made = JSON.parse((await cli('tokens', 'add', 'ann', '--role', 'admin', '--one-time')).out);
    expect(made.url).toBe(`http://127.0.0.1:${port}/console/#login=${made.token}`);
    expect((await ask(made.token)).statusCode).toBe(401);
    const answers = await Promise.all([login(made.token), login(made.token)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
    const { json } = answers.find(({ status }) => status === 200) as Answer;
    expect(json).toMatchObject({ role: 'admin', name: expect.stringMatching(/^console-/) });
    const hours = (Date.parse(json.expiresAt) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(11.9);
    expect(hours).toBeLessThan(12.1);
    expect((await ask(json.token, '/v1/tokens')).statusCode).toBe(200);
  });

  it('a wrong code and a token are none', async () => {
    expect((await login('no-code-at-all-no-code')).json).toMatchObject({ status: 401, code: 'CODE_INVALID' });
    const { json } = await api.request('POST', '/v1/tokens', { name: 'no-code', role: 'read' });
    expect((await login(json.token)).json).toMatchObject({ code: 'CODE_INVALID' });
    expect((await login('short')).status).toBe(400);
  });
});

describe('the audit log', () => {
  it('holds every change over REST with who, what and from where, and never a secret', async () => {
    const body = { terminalId: 41, number: '1041', password: 'a-secret-password' };
    const made = await api.request('POST', '/v1/terminals', body, { 'x-request-id': 'made-41' });
    expect(made.status).toBe(201);
    await api.request('DELETE', '/v1/terminals/41');
    const { json, text } = await api.request('GET', '/v1/audit?limit=2');
    expect(json.entries).toMatchObject([
      { who: 'api.tokens.0', via: 'rest', source: '127.0.0.1', what: 'DELETE /v1/terminals/:terminalId' },
      {
        what: 'POST /v1/terminals',
        requestId: 'made-41',
        details: { terminalId: 41, number: '1041', password: '(given)' },
      },
    ]);
    expect(text).not.toContain('a-secret-password');
  });

  it('holds no refusal and no reading', async () => {
    const before = await sql('SELECT count(*) FROM lastcall.audit_log');
    await api.request('POST', '/v1/terminals', { terminalId: 42 });
    await api.request('GET', '/v1/terminals');
    await api.request('DELETE', '/v1/terminals/4242');
    expect(await sql('SELECT count(*) FROM lastcall.audit_log')).toEqual(before);
  });

  it('holds what the command line changed with user and host, and once only what it asked of the API', async () => {
    await cli('terminals', 'add', '--number', '1043', '--password', 'pw-of-1043');
    await cli('bans', 'lift', '1043');
    const { json, text } = await api.request('GET', '/v1/audit?limit=2');
    expect(json.entries).toMatchObject([
      {
        via: 'rest',
        what: 'DELETE /v1/bans/:nameOrSource',
        details: { agent: expect.stringMatching(/^lastcall .+@/) },
      },
      { via: 'cli', what: 'terminals add', who: expect.stringMatching(/.+@.+/), source: '127.0.0.1' },
    ]);
    expect(text).not.toContain('pw-of-1043');
    const shown = JSON.parse((await cli('audit', '--limit', '1')).out);
    expect(shown).toMatchObject([{ what: 'DELETE /v1/bans/:nameOrSource' }]);
    expect((await runCli(['audit', '--config', config])).out).toContain('terminals add');
  });

  it('is paged, newest first, and read by admins only', async () => {
    const first = (await api.request('GET', '/v1/audit?limit=1')).json;
    const second = (await api.request('GET', `/v1/audit?limit=1&before=${first.next}`)).json;
    expect(second.entries[0].id).toBeLessThan(first.entries[0].id);
    expect((await api.request('GET', '/v1/audit?who=nobody')).json).toEqual({ entries: [], next: null });
    expect((await ask(READ_TOKEN, '/v1/audit')).statusCode).toBe(403);
  });
});

describe('every answer', () => {
  it('has a request id: the asker’s own, or a new one when that is none', async () => {
    const of = async (given?: string) =>
      (await api.request('GET', '/v1/terminals', undefined, given ? { 'x-request-id': given } : {})).headers[
        'x-request-id'
      ];
    expect(await of('abc-1')).toBe('abc-1');
    expect(await of('a b\u0001')).toMatch(/^[0-9a-f-]{36}$/);
    expect(await of()).not.toBe(await of());
    expect((await api.app.inject('/nothing')).headers['x-request-id']).toBeDefined();
  });

  it('is 405 with Allow where the address takes other methods', async () => {
    const answer = await api.request('PUT', '/v1/calls', {});
    expect(answer).toMatchObject({
      status: 405,
      headers: { allow: 'POST' },
      json: { code: 'METHOD_NOT_ALLOWED' },
    });
    const one = await api.request('POST', '/v1/terminals/5', {});
    expect(String(one.headers['allow']).split(', ')).toEqual(
      expect.arrayContaining(['GET', 'PUT', 'DELETE']),
    );
    expect((await api.request('GET', '/v1/terminals/5/nothing')).status).toBe(404);
  });

  it('lets pages of the configured origins ask, and no others', async () => {
    const preflight = (origin: string) =>
      api.app.inject({
        method: 'OPTIONS',
        url: '/v1/terminals/5',
        headers: { origin, 'access-control-request-method': 'PUT' },
      });
    const ours = await preflight(ORIGIN);
    expect(ours).toMatchObject({ statusCode: 204, headers: { 'access-control-allow-origin': ORIGIN } });
    expect(ours.headers['access-control-allow-headers']).toContain('authorization');
    const others = await preflight('https://elsewhere.example');
    expect(others.statusCode).toBe(405);
    expect(others.headers).not.toHaveProperty('access-control-allow-origin');
    const headers = { ...bearer(READ_TOKEN), origin: ORIGIN };
    const answer = await api.app.inject({ url: '/v1/terminals', headers });
    expect(answer.headers['access-control-allow-origin']).toBe(ORIGIN);
  });
});

describe('limits', () => {
  it('G7 wrong tokens of one address end in 429 with Retry-After; a good one there and other addresses go on', async () => {
    const strict = await startApi(sites.config('a', overrides({ failedLoginsPerMinute: 3 })));
    const of = (token: string, remoteAddress: string) =>
      strict.app.inject({ url: '/v1/terminals', headers: bearer(token), remoteAddress });
    expect((await of(READ_TOKEN, '192.0.2.1')).statusCode).toBe(200);
    const guesses = [];
    for (let n = 0; n < 5; n++) guesses.push((await of(`guess-number-${n}-guess`, '192.0.2.1')).statusCode);
    expect(guesses).toEqual([401, 401, 401, 429, 429]);
    const held = await of('guess-guess-guess-guess', '192.0.2.1');
    expect(held.json()).toMatchObject({ code: 'TOO_MANY_REQUESTS' });
    expect(Number(held.headers['retry-after'])).toBeGreaterThan(10);
    expect((await of(READ_TOKEN, '192.0.2.1')).statusCode).toBe(200);
    // A token that was never good there is not told from a guess.
    expect((await of(ADMIN_TOKEN, '192.0.2.1')).statusCode).toBe(429);
    expect((await of(ADMIN_TOKEN, '192.0.2.2')).statusCode).toBe(200);
    await strict.stop();
  });

  it('a token gets what it may ask in a second, then 429; the answers say what is left', async () => {
    const strict = await startApi(sites.config('a', overrides({ requestsPerSecond: 5 })));
    const answers = [];
    for (let n = 0; n < 20; n++)
      answers.push(await strict.app.inject({ url: '/v1/terminals?limit=1', headers: bearer(READ_TOKEN) }));
    expect(answers[0]?.headers).toMatchObject({ 'ratelimit-limit': '5', 'ratelimit-remaining': '4' });
    const refused = answers.filter(({ statusCode }) => statusCode === 429);
    expect(refused.length).toBeGreaterThan(5);
    expect(refused[0]?.headers['retry-after']).toBe('1');
    expect((await strict.app.inject({ url: '/v1/terminals', headers: bearer(ADMIN_TOKEN) })).statusCode).toBe(
      200,
    );
    await strict.stop();
  });
});

describe('GET /v1/events', () => {
  it('tells everything at first, then what changes; without a token nothing', async () => {
    expect((await api.app.inject('/v1/events')).statusCode).toBe(401);
    const stream = await openEvents(port, READ_TOKEN);
    await waitFor(() => stream.of('failovers').length > 0, { what: 'the first events' });
    expect(stream.of('directions')[0]).toMatchObject({
      site: 'a',
      directions: [{ from: 'a' }, { from: 'b' }],
    });
    expect(stream.of('directions')[0].directions).toContainEqual(
      expect.objectContaining({ from: 'a', to: 'b', state: 'stopped' }),
    );
    expect(stream.of('readiness')[0]).toMatchObject({ checks: { postgres: { state: 'up' } } });
    const { json } = await api.request('POST', '/v1/failovers', { site: 'b', reason: 'watched' });
    await waitFor(() => stream.of('failover').some(({ id }) => id === json.id), { what: 'the failover' });
    await sql(`UPDATE lastcall.failovers SET state = 'done', ended_at = now() WHERE id = '${json.id}'`);
    await waitFor(() => stream.of('failover').some(({ state }) => state === 'done'), { what: 'its end' });
    await api.request('POST', '/v1/terminals', { terminalId: 48, number: '1048', password: 'x' });
    await api.request('PATCH', '/v1/terminals/48', { enabled: false });
    await waitFor(() => stream.of('terminals').some(({ terminalIds }) => terminalIds.includes(48)), {
      what: 'the changed terminal',
    });
    stream.close();
  });

  it('of the alerts it tells what the coordinator has told last, as GET /v1/alerts does', async () => {
    const stream = await openEvents(port, READ_TOKEN);
    await board.post(notice('site-unreachable', 'begin', '2026-11-21T10:00:00.000Z'));
    await waitFor(() => stream.of('alerts').at(-1)?.open.length === 1, { what: 'the begin' });
    const { json } = await api.request('GET', '/v1/alerts');
    expect(json).toEqual(stream.of('alerts').at(-1));
    await board.post(notice('site-reachable', 'end', '2026-11-21T10:00:07.000Z'));
    await waitFor(() => stream.of('alerts').at(-1)?.open.length === 0, { what: 'the end' });
    expect(stream.of('alerts').at(-1).recent).toMatchObject([{ phase: 'end' }, { phase: 'begin' }]);
    stream.close();
  });

  it('a token that is revoked ends what was begun with it', async () => {
    const { json } = await api.request('POST', '/v1/tokens', { name: 'watcher', role: 'read' });
    const stream = await openEvents(port, json.token);
    await waitFor(() => stream.of('directions').length > 0, { what: 'the first events' });
    await api.request('DELETE', '/v1/tokens/watcher');
    await waitFor(() => stream.ended(), { what: 'the end of the stream' });
  });
});

describe('after SIGTERM', () => {
  it('what was begun is answered, an event stream ends, and nothing new is taken', async () => {
    const own = await freePort();
    const draining = await startApi(sites.config('a', overrides({ listen: `127.0.0.1:${own}` })), {
      listen: true,
    });
    const stream = await openEvents(own, READ_TOKEN);
    await waitFor(() => stream.of('directions').length > 0, { what: 'the first event' });
    const { answer, finish } = slowPost(own);
    await waitFor(() => finish.ready(), { what: 'the request' });
    let stopped = false;
    const stop = draining.stop().then(() => {
      stopped = true;
    });
    await waitFor(() => stream.ended(), { what: 'the end of the stream' });
    expect(stopped).toBe(false);
    finish.send();
    expect((await answer).statusCode).toBe(201);
    await stop;
    await expect(openEvents(own, READ_TOKEN)).rejects.toThrow('ECONNREFUSED');
  });
});

function notice(event: EventName, phase: Notice['phase'], at: string): Notice {
  return { ...lastcallEvent(event, 'b'), id: at, at, phase, since: '2026-11-21T10:00:00.000Z', withheld: 0 };
}

/** A request whose body comes in two parts. */
function slowPost(at: number) {
  const body = JSON.stringify({ terminalId: 47, number: '1047', password: 'x' });
  const headers = {
    ...bearer(ADMIN_TOKEN),
    'content-type': 'application/json',
    'content-length': body.length,
  };
  const asked = request({ port: at, path: '/v1/terminals', method: 'POST', headers });
  let ready = false;
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    asked.on('response', (response) => resolve(response.resume())).on('error', reject);
  });
  asked.write(body.slice(0, 5), () => {
    ready = true;
  });
  return { answer, finish: { ready: () => ready, send: () => asked.end(body.slice(5)) } };
}
