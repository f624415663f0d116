import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../support/postgres.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';
import { checkState, type StartedApi, startApi } from './started-api.ts';
import { READ_TOKEN, RECORD_TOKEN, startTwoSites, type TwoSites } from './two-sites.ts';

let sites: TwoSites;
let redis: RedisServer;
let api: StartedApi;
beforeAll(async () => {
  [sites, redis] = await Promise.all([startTwoSites(), startRedis()]);
  api = await startApi(sites.config('a', { redis: { url: redis.url } }));
});
afterAll(async () => {
  await api.stop();
  await Promise.all([sites.server.remove(), redis.remove()]);
});

const sql = (site: string, text: string, values: unknown[] = []) =>
  withClient(sites.ownerUrl(site), async (client) => (await client.query(text, values)).rows);
const terminal = (id: number, more: object = {}) => ({
  terminalId: id,
  number: String(1000 + id),
  password: 'pw',
  ...more,
});
const provision = async (...ids: number[]) => {
  for (const id of ids) await api.request('POST', '/v1/terminals', terminal(id));
};
const call = (body: object) => api.request('POST', '/v1/calls', body);
const target = (query: string, headers = {}) => api.request('GET', `/v1/target?${query}`, undefined, headers);

describe('tokens', () => {
  it.each([
    ['GET', '/v1/terminals', undefined, 401],
    ['GET', '/v1/terminals', 'nonsense-nonsense', 401],
    ['GET', '/v1/terminals', READ_TOKEN, 200],
    ['POST', '/v1/terminals', READ_TOKEN, 403],
    ['POST', '/v1/terminals', RECORD_TOKEN, 403],
    ['POST', '/v1/calls', READ_TOKEN, 403],
    ['GET', '/v1/replication', RECORD_TOKEN, 200],
    ['POST', '/v1/failovers', RECORD_TOKEN, 403],
    ['DELETE', '/v1/terminals/1/lastcalls', RECORD_TOKEN, 403],
  ] as const)('%s %s with %s answers %i', async (method, url, token, status) => {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const response = await api.app.inject({
      method,
      url,
      headers,
      ...(method === 'POST' && { payload: {} }),
    });
    expect(response.statusCode).toBe(status);
    if (status !== 200) expect(response.headers['content-type']).toContain('application/problem+json');
    if (status === 401) expect(response.headers['www-authenticate']).toMatch(/^Bearer/);
  });

  it('health, readiness, metrics and the OpenAPI document need none', async () => {
    for (const url of ['/healthz', '/readyz', '/metrics', '/v1/openapi.json']) {
      expect((await api.app.inject(url)).statusCode, url).toBe(200);
    }
  });
});

describe('/v1/terminals', () => {
  it('provisions, shows, replaces and removes; no answer holds a credential', async () => {
    const created = await api.request('POST', '/v1/terminals', terminal(71, { userId: 5 }));
    expect(created).toMatchObject({ status: 201, headers: { location: '/v1/terminals/71' } });
    expect(created.json).toMatchObject({
      terminalId: 71,
      userId: 5,
      username: '1071',
      aor: 'sip:1071@lastcall.test',
      enabled: true,
      site: 'a',
    });
    const [before] = await sql(
      'a',
      'SELECT ha1_md5, ha1_sha256 FROM lastcall.terminals WHERE terminal_id = 71',
    );
    const replaced = await api.request('PUT', '/v1/terminals/71', { number: '2071', enabled: false });
    expect(replaced.json).toMatchObject({ number: '2071', username: '1071', enabled: false, userId: null });
    const [after] = await sql(
      'a',
      'SELECT ha1_md5, ha1_sha256 FROM lastcall.terminals WHERE terminal_id = 71',
    );
    expect(after).toEqual(before);
    const shown = await api.request('GET', '/v1/terminals/71');
    expect(shown.text).not.toContain(before.ha1_md5);
    expect(shown.text).not.toContain('ha1');
    expect((await api.request('DELETE', '/v1/terminals/71')).status).toBe(204);
    expect((await api.request('GET', '/v1/terminals/71')).json).toMatchObject({
      code: 'TERMINAL_NOT_FOUND',
      status: 404,
    });
  });

  it('a new username needs the password again: its hash holds the name', async () => {
    await provision(72);
    const refused = await api.request('PUT', '/v1/terminals/72', { number: '1072', username: 'ann' });
    expect(refused.json).toMatchObject({ status: 400, code: 'INVALID_VALUE' });
    expect(
      (await api.request('PUT', '/v1/terminals/72', { number: '1072', username: 'ann', password: 'x' }))
        .status,
    ).toBe(200);
    await api.request('DELETE', '/v1/terminals/72');
  });

  it('a taken id or number is a 409 that says which', async () => {
    await provision(73);
    const again = await api.request('POST', '/v1/terminals', terminal(73));
    expect(again.json).toMatchObject({ status: 409, code: 'TERMINAL_EXISTS' });
    const sameNumber = await api.request('POST', '/v1/terminals', terminal(74, { number: '1073' }));
    expect(sameNumber.json.details.message).toContain("'1073'");
    expect((await api.request('GET', '/v1/terminals/74')).status).toBe(404);
  });

  it('pages by id and finds by name', async () => {
    await provision(75, 76);
    const first = await api.request('GET', '/v1/terminals?after=74&limit=1');
    expect(first.json.terminals.map((t: { terminalId: number }) => t.terminalId)).toEqual([75]);
    const second = await api.request('GET', `/v1/terminals?after=${first.json.next}&limit=5`);
    expect(second.json).toMatchObject({ terminals: [{ terminalId: 76 }], next: null });
    expect(
      (await api.request('GET', '/v1/terminals?name=sip:1076@lastcall.test')).json.terminals,
    ).toHaveLength(1);
  });

  it.each([
    [
      'POST',
      '/v1/terminals',
      { terminalId: '80', number: '1080', password: 'x' },
      'body.terminalId must be integer',
    ],
    [
      'POST',
      '/v1/terminals',
      { terminalId: 80, number: '10 80', password: 'x' },
      'body.number must match pattern',
    ],
    ['POST', '/v1/terminals', { terminalId: 80, number: '1080', pasword: 'x' }, 'pasword'],
    ['PUT', '/v1/terminals/eighty', { number: '1' }, 'params.terminalId must be integer'],
    ['GET', '/v1/terminals?limit=0', undefined, 'querystring.limit must be >= 1'],
  ] as const)('%s %s %j is refused with every fault', async (method, url, body, fault) => {
    const { json } = await api.request(method, url, body);
    expect(json).toMatchObject({ status: 400, code: 'INVALID_VALUE' });
    expect(json.details.faults.join('; ')).toContain(fault);
  });
});

describe('POST /v1/calls', () => {
  beforeAll(() => provision(1, 2, 3));
  const target52 = async (id: number) => (await target(`terminalId=${id}&code=*52`)).json;
  const target69 = async (id: number) => (await target(`terminalId=${id}&code=*69`)).json;

  it('C2 a dialed call is what *52 calls, a missed one what *69 calls', async () => {
    expect(await call({ callId: 'c1', event: 'dialed', from: '1001', to: '1002' })).toMatchObject({
      status: 200,
      json: { result: 'recorded', terminalId: 1, callId: 'c1' },
    });
    await call({ callId: 'c1', event: 'missed', from: '1001', to: 'sip:1002@lastcall.test' });
    const redial = await target('terminal=1001&code=*52');
    expect(redial).toMatchObject({ status: 200, json: { number: '1002', site: 'a', degraded: false } });
    expect(redial.json.ageMs).toBeLessThan(10_000);
    expect(await target69(2)).toMatchObject({ number: '1001' });
  });

  it('the same callId and event twice is one record', async () => {
    const first = await call({ callId: 'twice', event: 'dialed', from: '1001', to: '555' });
    await call({ callId: 'later', event: 'dialed', from: '1001', to: '556' });
    const second = await call({ callId: 'twice', event: 'dialed', from: '1001', to: '555' });
    expect(second.json).toEqual(first.json);
    expect(await target52(1)).toMatchObject({ number: '556' });
  });

  it('R1 a feature code, R2 an emergency number and R8 the own number are not recorded', async () => {
    await call({ callId: 'r0', event: 'dialed', from: '1003', to: '777' });
    for (const [to, reason] of [
      ['*69', 'feature-code'],
      ['112', 'emergency'],
      ['1003', 'own-number'],
    ]) {
      const { status, json } = await call({ callId: `r-${to}`, event: 'dialed', from: '1003', to });
      expect({ status, result: json.result, reason: json.reason }).toEqual({
        status: 200,
        result: 'ignored',
        reason,
      });
    }
    expect(await target52(3)).toMatchObject({ number: '777' });
  });

  it('C5, R7 a withheld last caller never falls back to an older number', async () => {
    await call({ callId: 'w0', event: 'missed', from: '4420123', to: '1003' });
    expect(await target69(3)).toMatchObject({ number: '4420123' });
    await call({ callId: 'w1', event: 'missed', from: '4420123', to: '1003', withheld: true });
    expect(await target69(3)).toMatchObject({ status: 404, code: 'WITHHELD' });
    await call({ callId: 'w2', event: 'missed', from: 'sip:anonymous@anonymous.invalid', to: '1003' });
    expect(await target69(3)).toMatchObject({ code: 'WITHHELD' });
    const { json } = await api.request('GET', '/v1/terminals/3/lastcalls');
    expect(json.received).toMatchObject({ number: null, withheld: true, site: 'a' });
    expect(JSON.stringify(json.received)).not.toContain('4420123');
  });

  it('a report with its date loses to anything newer, and a date ahead of the clock is refused (R14)', async () => {
    await call({ callId: 'd1', event: 'dialed', from: '1002', to: '881', at: '2026-01-02T00:00:00Z' });
    await call({ callId: 'd2', event: 'dialed', from: '1002', to: '880', at: '2026-01-01T00:00:00Z' });
    expect(await target52(2)).toMatchObject({ number: '881', at: '2026-01-02T00:00:00.000000Z' });
    const ahead = await call({
      callId: 'd3',
      event: 'dialed',
      from: '1002',
      to: '882',
      at: '2999-01-01T00:00:00Z',
    });
    expect(ahead.json).toMatchObject({ status: 400, code: 'INVALID_VALUE' });
    expect(
      (await call({ callId: 'd4', event: 'dialed', from: '1002', to: '883', at: 'yesterday' })).status,
    ).toBe(400);
  });

  it('an unknown subscriber is a 404, and a refused report may be sent again once it is known', async () => {
    const report = { callId: 'u1', event: 'dialed', from: '1099', to: '1' };
    expect((await call(report)).json).toMatchObject({ status: 404, code: 'TERMINAL_NOT_FOUND' });
    await provision(99);
    expect((await call(report)).json).toMatchObject({ result: 'recorded' });
  });

  it.each([
    { callId: 'x'.repeat(257), event: 'dialed', from: '1001', to: '1' },
    { callId: 'l1', event: 'dialed', from: '1001', to: '1'.repeat(257) },
    { callId: 'l2', event: 'ringing', from: '1001', to: '1' },
    { callId: 'l3', event: 'dialed', from: 1001, to: '1' },
    { event: 'dialed', from: '1001', to: '1' },
  ])('lengths and types are bounded: %#', async (body) => {
    expect((await call(body)).json).toMatchObject({ status: 400, code: 'INVALID_VALUE' });
  });

  it('what is no JSON or too large is refused by name, not with 500', async () => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${RECORD_TOKEN}` };
    const broken = await api.app.inject({ method: 'POST', url: '/v1/calls', headers, payload: '{"callId":' });
    expect(broken.statusCode).toBe(400);
    const large = await api.app.inject({
      method: 'POST',
      url: '/v1/calls',
      headers,
      payload: JSON.stringify({ callId: 'x'.repeat(70_000) }),
    });
    expect(large.statusCode).toBe(413);
    expect(large.json()).toMatchObject({ status: 413, code: 'INVALID_VALUE' });
  });
});

describe('GET /v1/target', () => {
  beforeAll(async () => {
    await provision(21, 22);
    const insert = (site: string, number: string, date: string) =>
      sql(
        'a',
        `INSERT INTO lastcall.lastcalls_${site} (terminal_id, last_dialed_call, last_dialed_num_id, last_dialed_date) VALUES (21, $1, 7, $2)`,
        [number, date],
      );
    await insert('a', '300', '2026-11-20 01:00:00Z');
    await insert('b', '400', '2026-11-20 02:00:00.000001Z');
  });

  it('C4 the newest date over all tables wins', async () => {
    const { json } = await target('terminalId=21&code=*52');
    expect(json).toMatchObject({ number: '400', site: 'b', at: '2026-11-20T02:00:00.000001Z' });
    expect((await target('terminal=1021&code=%252A52')).json).toMatchObject({ number: '400' });
  });

  it('Accept: text/plain gives the number alone, or nothing: also for a problem', async () => {
    const accept = { accept: 'text/plain' };
    expect(await target('terminalId=21&code=*52', accept)).toMatchObject({ status: 200, text: '400' });
    expect(await target('terminalId=22&code=*52', accept)).toMatchObject({ status: 404, text: '' });
    expect(await target('terminal=nobody&code=*52', accept)).toMatchObject({ status: 404, text: '' });
    expect((await api.app.inject({ url: '/v1/target?terminalId=21&code=*52', headers: accept })).body).toBe(
      '',
    );
  });

  it('C1 no data, an unknown terminal and an unknown code are told apart', async () => {
    expect((await target('terminalId=22&code=*69')).json).toMatchObject({ status: 404, code: 'NO_DATA' });
    expect((await target('terminal=4711&code=*69')).json).toMatchObject({
      status: 404,
      code: 'TERMINAL_NOT_FOUND',
    });
    expect((await target('terminalId=22&code=*70')).json).toMatchObject({
      status: 400,
      details: { expected: ['*52', '*69'] },
    });
    expect((await target('code=*69')).json).toMatchObject({ status: 400 });
  });

  it('lastcalls shows the chosen group and every table as it is', async () => {
    const { json } = await api.request('GET', '/v1/terminals/21/lastcalls');
    expect(json).toMatchObject({
      terminalId: 21,
      dialed: { number: '400', numberId: 7, site: 'b', withheld: false },
      received: null,
      tables: { a: { dialed: { number: '300' } }, b: { dialed: { number: '400' } } },
      degraded: false,
      unreadable: [],
    });
    expect((await api.request('GET', '/v1/terminals/4711/lastcalls')).json).toMatchObject({
      code: 'TERMINAL_NOT_FOUND',
    });
  });

  it('C9 what is forgotten is not found, and other scopes stay', async () => {
    await call({ callId: 'f1', event: 'missed', from: '900', to: '1021' });
    const forgotten = await api.request('DELETE', '/v1/terminals/21/lastcalls?scope=dialed');
    expect(forgotten.json).toMatchObject({ terminalId: 21, scope: 'dialed' });
    expect((await target('terminalId=21&code=*52')).json).toMatchObject({ code: 'NO_DATA' });
    expect((await target('terminalId=21&code=*69')).json).toMatchObject({ number: '900' });
    await api.request('DELETE', '/v1/terminals/21/lastcalls');
    expect((await target('terminalId=21&code=*69')).json).toMatchObject({ code: 'NO_DATA' });
    expect((await api.request('DELETE', '/v1/terminals/21/lastcalls?scope=some')).status).toBe(400);
  });
});

describe('/v1/replication', () => {
  it('shows both directions, each as its subscriber reports it', async () => {
    await sql(
      'b',
      `INSERT INTO lastcall.replication_status (peer, state, lag_ms, slot_wal_status) VALUES ('a', 'streaming', 2.5, 'reserved')`,
    );
    const { json } = await api.request('GET', '/v1/replication');
    expect(json.directions).toMatchObject([
      { from: 'a', to: 'b', state: 'streaming', lagMs: 2.5, slot: { walStatus: 'reserved' } },
      { from: 'b', to: 'a', state: 'stopped', reason: 'never-started' },
    ]);
  });

  it('pause, resume and resync are written at the subscriber', async () => {
    expect((await api.request('POST', '/v1/replication/a/b/pause')).status).toBe(202);
    expect(await sql('b', 'SELECT peer, paused FROM lastcall.replication_control')).toEqual([
      { peer: 'a', paused: true },
    ]);
    await api.request('POST', '/v1/replication/a/b/resume');
    await api.request('POST', '/v1/replication/b/a/resync');
    expect(await sql('b', 'SELECT paused FROM lastcall.replication_control')).toEqual([{ paused: false }]);
    expect(
      await sql('a', 'SELECT resync_requested_at IS NOT NULL AS asked FROM lastcall.replication_control'),
    ).toEqual([{ asked: true }]);
    expect((await api.request('POST', '/v1/replication/a/x/pause')).json).toMatchObject({
      code: 'SITE_UNKNOWN',
    });
    expect((await api.request('POST', '/v1/replication/x/b/pause')).json).toMatchObject({
      code: 'SITE_UNKNOWN',
    });
    expect((await api.request('POST', '/v1/replication/a/a/pause')).status).toBe(400);
  });
});

describe('POST /v1/compare', () => {
  it('names the differing keys, and repair copies the origin over them', { timeout: 60_000 }, async () => {
    // What the replicator would do: apply each site's heartbeat at the other.
    await sql('b', `INSERT INTO lastcall.heartbeat_a (beat_at) VALUES ('infinity')`);
    await sql('a', `INSERT INTO lastcall.heartbeat_b (beat_at) VALUES ('infinity')`);
    await provision(61);
    await sql('b', 'DELETE FROM lastcall.terminals_a');
    const { status, json } = await api.request('POST', '/v1/compare', {});
    expect(status).toBe(200);
    expect(json.equal).toBe(false);
    const copy = json.tables.find((entry: { table: string }) => entry.table === 'terminals_a');
    expect(copy).toMatchObject({ from: 'a', to: 'b', copyRows: 0, differing: copy.originRows });
    expect(copy.differingKeys).toContain(61);
    expect((await api.request('POST', '/v1/compare', { repair: true })).json.equal).toBe(true);
    const [row] = await sql('b', 'SELECT number FROM lastcall.terminals_a WHERE terminal_id = 61');
    expect(row).toEqual({ number: '1061' });
    expect((await api.request('POST', '/v1/compare', { repair: 'yes' })).status).toBe(400);
  });
});

describe('/v1/failovers', () => {
  it('is kept in PostgreSQL and as a job, and its report can be read', async () => {
    const { status, json } = await api.request('POST', '/v1/failovers', { site: 'b', reason: 'drill' });
    expect(status).toBe(202);
    const report = await api.request('GET', `/v1/failovers/${json.id}`);
    expect(report.json).toMatchObject({
      id: json.id,
      site: 'b',
      reason: 'drill',
      requestedBy: 'api',
      state: 'running',
      steps: [],
    });
    expect((await api.request('GET', '/v1/failovers')).json.failovers[0].id).toBe(json.id);
    const client = new Redis(redis.url);
    expect(await client.exists(`lastcall:{a}:failover:${json.id}`)).toBe(1);
    client.disconnect();
  });

  it('an unknown site and an unknown id are 404', async () => {
    expect((await api.request('POST', '/v1/failovers', { site: 'x' })).json).toMatchObject({
      status: 404,
      code: 'SITE_UNKNOWN',
    });
    const unknown = await api.request('GET', '/v1/failovers/00000000-0000-4000-8000-000000000000');
    expect(unknown.json).toMatchObject({ status: 404, code: 'FAILOVER_NOT_FOUND' });
    expect((await api.request('GET', '/v1/failovers/1')).status).toBe(400);
  });
});

describe('errors', () => {
  it('an unknown address is a problem, an unexpected error a bare 500', async () => {
    expect((await api.request('GET', '/v1/nothing')).json).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    await sql('a', 'ALTER FUNCTION lastcall.forget(bigint, text, timestamptz) RENAME TO forget_away');
    const broken = await api.request('DELETE', '/v1/terminals/1/lastcalls');
    await sql('a', 'ALTER FUNCTION lastcall.forget_away(bigint, text, timestamptz) RENAME TO forget');
    expect(broken).toMatchObject({
      status: 500,
      json: { type: 'about:blank', title: 'Unexpected error', status: 500 },
    });
    expect(Object.keys(broken.json)).toHaveLength(3);
  });

  it('requests are counted by route, never by path', async () => {
    const { body } = await api.app.inject('/metrics');
    expect(body).toMatch(/lastcall_api_request_seconds_count\{.*route="\/v1\/terminals\/:terminalId".*\}/);
    expect(body).not.toContain('terminal=1001');
  });
});

describe('with PostgreSQL away', () => {
  it('R12, C8, C7: calls are journalled with 202, answer the next lookup, and land in the table when it is back', async () => {
    await provision(31, 32);
    await call({ callId: 'o0', event: 'dialed', from: '1031', to: '1' });
    await target('terminal=1032&code=*52');
    await sites.server.stop('immediate');
    await waitFor(() => checkState(api.app, 'database', 'down'), { what: 'the loss to be seen' });
    expect((await api.app.inject('/readyz')).json()).toMatchObject({ status: 'degraded' });

    const journalled = await call({ callId: 'o1', event: 'dialed', from: '1031', to: '6001' });
    expect(journalled).toMatchObject({ status: 202, json: { result: 'journalled' } });
    const dated = await call({
      callId: 'o2',
      event: 'missed',
      from: '6002',
      to: '1031',
      at: '2026-11-01T00:00:00Z',
    });
    expect(dated.status).toBe(202);
    expect((await target('terminal=1031&code=*52')).json).toMatchObject({ number: '6001', degraded: true });
    const unreadable = await target('terminal=1032&code=*52');
    expect(unreadable).toMatchObject({ status: 503, json: { code: 'UNREADABLE' } });
    expect(unreadable.headers['retry-after']).toBeDefined();
    expect((await api.request('GET', '/v1/terminals')).json).toMatchObject({
      status: 503,
      code: 'DATABASE_UNREACHABLE',
    });
    const failover = await api.request('POST', '/v1/failovers', { site: 'a' });
    expect(failover.status).toBe(202);

    await sites.server.start();
    await waitFor(() => checkState(api.app, 'journal', 'up'), { what: 'the journal to drain' });
    const drained = async () => {
      const [row] = await sql(
        'a',
        'SELECT last_dialed_call, last_received_call FROM lastcall.lastcalls_a WHERE terminal_id = 31',
      );
      return row?.last_received_call && row;
    };
    expect(await waitFor(drained)).toEqual({ last_dialed_call: '6001', last_received_call: '6002' });
  });
});

describe('with Redis away', () => {
  it('nothing changes but the safety net; a failover is still kept', async () => {
    await redis.stop();
    await waitFor(() => checkState(api.app, 'redis', 'down'), { what: 'the loss to be seen' });
    expect((await call({ callId: 'n1', event: 'dialed', from: '1031', to: '6003' })).status).toBe(200);
    expect((await call({ callId: 'n1', event: 'dialed', from: '1031', to: '6003' })).status).toBe(200);
    expect((await target('terminal=1031&code=*52')).json).toMatchObject({ number: '6003' });
    const { status, json } = await api.request('POST', '/v1/failovers', { site: 'a', reason: 'no redis' });
    expect(status).toBe(202);
    expect(await sql('a', 'SELECT reason FROM lastcall.failovers WHERE id = $1', [json.id])).toEqual([
      { reason: 'no redis' },
    ]);
    await redis.start();
  });
});
