import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RestSite, startRestSite } from './rest-site.ts';
import { RECORD_TOKEN } from './two-sites.ts';

let rest: RestSite;
beforeAll(async () => {
  rest = await startRestSite();
});
afterAll(() => rest.stop());

describe('POST /v1/calls', () => {
  beforeAll(() => rest.provision(1, 2, 3));
  const target52 = async (id: number) => (await rest.target(`terminalId=${id}&code=*52`)).json;
  const target69 = async (id: number) => (await rest.target(`terminalId=${id}&code=*69`)).json;

  it('C2 a dialed call is what *52 calls, a missed one what *69 calls', async () => {
    expect(await rest.call({ callId: 'c1', event: 'dialed', from: '1001', to: '1002' })).toMatchObject({
      status: 200,
      json: { result: 'recorded', terminalId: 1, callId: 'c1' },
    });
    await rest.call({ callId: 'c1', event: 'missed', from: '1001', to: 'sip:1002@lastcall.test' });
    const redial = await rest.target('terminal=1001&code=*52');
    expect(redial).toMatchObject({ status: 200, json: { number: '1002', site: 'a', degraded: false } });
    expect(redial.json.ageMs).toBeLessThan(10_000);
    expect(await target69(2)).toMatchObject({ number: '1001' });
  });

  it('the same callId and event twice is one record', async () => {
    const first = await rest.call({ callId: 'twice', event: 'dialed', from: '1001', to: '555' });
    await rest.call({ callId: 'later', event: 'dialed', from: '1001', to: '556' });
    const second = await rest.call({ callId: 'twice', event: 'dialed', from: '1001', to: '555' });
    expect(second.json).toEqual(first.json);
    expect(await target52(1)).toMatchObject({ number: '556' });
  });

  it('the same callId and event with other content is a 409, and changes nothing', async () => {
    const report = { callId: 'reused', event: 'dialed', from: '1001', to: '557' };
    expect((await rest.call(report)).status).toBe(200);
    const other = await rest.call({ ...report, to: '558' });
    expect(other.json).toMatchObject({ status: 409, code: 'CALL_REPORTED_OTHERWISE' });
    expect(await target52(1)).toMatchObject({ number: '557' });
    const reordered = { to: '557', from: '1001', event: 'dialed', callId: 'reused' };
    expect((await rest.call(reordered)).status).toBe(200);
  });

  it('a callId heard first at another site is that call still: repeated here it hides no newer one', async () => {
    // What site b recorded, as the replicator brought it.
    await rest.sql(
      'a',
      `SET session_replication_role = replica; INSERT INTO lastcall.lastcalls_b (terminal_id, last_received_date,
         last_received_call, last_received_call_id) VALUES (3, now() - interval '1 minute', '700', 'heard-at-b')`,
    );
    await rest.call({ callId: 'newer', event: 'missed', from: '701', to: '1003' });
    const repeated = await rest.call({ callId: 'heard-at-b', event: 'missed', from: '700', to: '1003' });
    expect(repeated).toMatchObject({ status: 200, json: { result: 'recorded', terminalId: 3 } });
    expect(await target69(3)).toMatchObject({ number: '701' });
  });

  it('R1 a feature code, R2 an emergency number and R8 the own number are not recorded', async () => {
    await rest.call({ callId: 'r0', event: 'dialed', from: '1003', to: '777' });
    for (const [to, reason] of [
      ['*69', 'feature-code'],
      ['112', 'emergency'],
      ['1003', 'own-number'],
    ]) {
      const { status, json } = await rest.call({ callId: `r-${to}`, event: 'dialed', from: '1003', to });
      expect({ status, result: json.result, reason: json.reason }).toEqual({
        status: 200,
        result: 'ignored',
        reason,
      });
    }
    expect(await target52(3)).toMatchObject({ number: '777' });
  });

  it('C5, R7 a withheld last caller never falls back to an older number', async () => {
    await rest.call({ callId: 'w0', event: 'missed', from: '4420123', to: '1003' });
    expect(await target69(3)).toMatchObject({ number: '4420123' });
    await rest.call({ callId: 'w1', event: 'missed', from: '4420123', to: '1003', withheld: true });
    expect(await target69(3)).toMatchObject({ status: 404, code: 'WITHHELD' });
    await rest.call({ callId: 'w2', event: 'missed', from: 'sip:anonymous@anonymous.invalid', to: '1003' });
    expect(await target69(3)).toMatchObject({ code: 'WITHHELD' });
    const { json } = await rest.api.request('GET', '/v1/terminals/3/lastcalls');
    expect(json.received).toMatchObject({ number: null, withheld: true, site: 'a' });
    expect(JSON.stringify(json.received)).not.toContain('4420123');
  });

  it('a report with its date loses to anything newer, and a date ahead of the clock is refused (R14)', async () => {
    await rest.call({ callId: 'd1', event: 'dialed', from: '1002', to: '881', at: '2026-01-02T00:00:00Z' });
    await rest.call({ callId: 'd2', event: 'dialed', from: '1002', to: '880', at: '2026-01-01T00:00:00Z' });
    expect(await target52(2)).toMatchObject({ number: '881', at: '2026-01-02T00:00:00.000000Z' });
    const ahead = await rest.call({
      callId: 'd3',
      event: 'dialed',
      from: '1002',
      to: '882',
      at: '2999-01-01T00:00:00Z',
    });
    expect(ahead.json).toMatchObject({ status: 400, code: 'INVALID_VALUE' });
    expect(
      (await rest.call({ callId: 'd4', event: 'dialed', from: '1002', to: '883', at: 'yesterday' })).status,
    ).toBe(400);
  });

  it('an unknown subscriber is a 404, and a refused report may be sent again once it is known', async () => {
    const report = { callId: 'u1', event: 'dialed', from: '1099', to: '1' };
    expect((await rest.call(report)).json).toMatchObject({ status: 404, code: 'TERMINAL_NOT_FOUND' });
    await rest.provision(99);
    expect((await rest.call(report)).json).toMatchObject({ result: 'recorded' });
  });

  it.each([
    { callId: 'x'.repeat(257), event: 'dialed', from: '1001', to: '1' },
    { callId: 'l1', event: 'dialed', from: '1001', to: '1'.repeat(257) },
    { callId: 'l2', event: 'ringing', from: '1001', to: '1' },
    { callId: 'l3', event: 'dialed', from: 1001, to: '1' },
    { event: 'dialed', from: '1001', to: '1' },
  ])('lengths and types are bounded: %#', async (body) => {
    expect((await rest.call(body)).json).toMatchObject({ status: 400, code: 'INVALID_VALUE' });
  });

  it('what is no JSON or too large is refused by name, not with 500', async () => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${RECORD_TOKEN}` };
    const broken = await rest.api.app.inject({
      method: 'POST',
      url: '/v1/calls',
      headers,
      payload: '{"callId":',
    });
    expect(broken.statusCode).toBe(400);
    const large = await rest.api.app.inject({
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
    await rest.provision(21, 22);
    const insert = (site: string, number: string, date: string) =>
      rest.sql(
        'a',
        `INSERT INTO lastcall.lastcalls_${site} (terminal_id, last_dialed_call, last_dialed_num_id, last_dialed_date) VALUES (21, $1, 7, $2)`,
        [number, date],
      );
    await insert('a', '300', '2026-11-20 01:00:00Z');
    await insert('b', '400', '2026-11-20 02:00:00.000001Z');
  });

  it('C4 the newest date over all tables wins', async () => {
    const { json } = await rest.target('terminalId=21&code=*52');
    expect(json).toMatchObject({ number: '400', site: 'b', at: '2026-11-20T02:00:00.000001Z' });
    expect((await rest.target('terminal=1021&code=%252A52')).json).toMatchObject({ number: '400' });
  });

  it('Accept: text/plain gives the number alone, or nothing: also for a problem', async () => {
    const accept = { accept: 'text/plain' };
    expect(await rest.target('terminalId=21&code=*52', accept)).toMatchObject({ status: 200, text: '400' });
    expect(await rest.target('terminalId=22&code=*52', accept)).toMatchObject({ status: 404, text: '' });
    expect(await rest.target('terminal=nobody&code=*52', accept)).toMatchObject({ status: 404, text: '' });
    expect(
      (await rest.api.app.inject({ url: '/v1/target?terminalId=21&code=*52', headers: accept })).body,
    ).toBe('');
  });

  it('C1 no data, an unknown terminal and an unknown code are told apart', async () => {
    expect((await rest.target('terminalId=22&code=*69')).json).toMatchObject({
      status: 404,
      code: 'NO_DATA',
    });
    expect((await rest.target('terminal=4711&code=*69')).json).toMatchObject({
      status: 404,
      code: 'TERMINAL_NOT_FOUND',
    });
    expect((await rest.target('terminalId=22&code=*70')).json).toMatchObject({
      status: 400,
      details: { expected: ['*52', '*69'] },
    });
    expect((await rest.target('code=*69')).json).toMatchObject({ status: 400 });
  });

  it('lastcalls shows the chosen group and every table as it is', async () => {
    const { json } = await rest.api.request('GET', '/v1/terminals/21/lastcalls');
    expect(json).toMatchObject({
      terminalId: 21,
      dialed: { number: '400', numberId: 7, site: 'b', withheld: false },
      received: null,
      tables: { a: { dialed: { number: '300' } }, b: { dialed: { number: '400' } } },
      degraded: false,
      unreadable: [],
    });
    expect((await rest.api.request('GET', '/v1/terminals/4711/lastcalls')).json).toMatchObject({
      code: 'TERMINAL_NOT_FOUND',
    });
  });

  it('C9 what is forgotten is not found, and other scopes stay', async () => {
    await rest.call({ callId: 'f1', event: 'missed', from: '900', to: '1021' });
    const forgotten = await rest.api.request('DELETE', '/v1/terminals/21/lastcalls?scope=dialed');
    expect(forgotten.json).toMatchObject({ terminalId: 21, scope: 'dialed' });
    expect((await rest.target('terminalId=21&code=*52')).json).toMatchObject({ code: 'NO_DATA' });
    expect((await rest.target('terminalId=21&code=*69')).json).toMatchObject({ number: '900' });
    await rest.api.request('DELETE', '/v1/terminals/21/lastcalls');
    expect((await rest.target('terminalId=21&code=*69')).json).toMatchObject({ code: 'NO_DATA' });
    expect((await rest.api.request('DELETE', '/v1/terminals/21/lastcalls?scope=some')).status).toBe(400);
  });
});
