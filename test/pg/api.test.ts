import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RestSite, startRestSite, terminal } from './rest-site.ts';
import { READ_TOKEN, RECORD_TOKEN } from './two-sites.ts';

let rest: RestSite;
beforeAll(async () => {
  rest = await startRestSite();
});
afterAll(() => rest.stop());

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
    const response = await rest.api.app.inject({
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
      expect((await rest.api.app.inject(url)).statusCode, url).toBe(200);
    }
  });
});

describe('/v1/terminals', () => {
  it('provisions, shows, replaces and removes; no answer holds a credential', async () => {
    const created = await rest.api.request('POST', '/v1/terminals', terminal(71, { userId: 5 }));
    expect(created).toMatchObject({ status: 201, headers: { location: '/v1/terminals/71' } });
    expect(created.json).toMatchObject({
      terminalId: 71,
      userId: 5,
      username: '1071',
      aor: 'sip:1071@lastcall.test',
      enabled: true,
      site: 'a',
    });
    const [before] = await rest.sql(
      'a',
      'SELECT ha1_md5, ha1_sha256 FROM lastcall.terminals WHERE terminal_id = 71',
    );
    const replaced = await rest.api.request('PUT', '/v1/terminals/71', {
      number: '2071',
      username: '1071',
      enabled: false,
    });
    expect(replaced.json).toMatchObject({ number: '2071', username: '1071', enabled: false, userId: null });
    const [after] = await rest.sql(
      'a',
      'SELECT ha1_md5, ha1_sha256 FROM lastcall.terminals WHERE terminal_id = 71',
    );
    expect(after).toEqual(before);
    const shown = await rest.api.request('GET', '/v1/terminals/71');
    expect(shown.text).not.toContain(before.ha1_md5);
    expect(shown.text).not.toContain('ha1');
    expect((await rest.api.request('DELETE', '/v1/terminals/71')).status).toBe(204);
    expect((await rest.api.request('GET', '/v1/terminals/71')).json).toMatchObject({
      code: 'TERMINAL_NOT_FOUND',
      status: 404,
    });
  });

  it('PUT replaces whole, PATCH changes what is named', async () => {
    await rest.api.request('POST', '/v1/terminals', terminal(91, { userId: 5, features: ['erase'] }));
    const patched = await rest.api.request('PATCH', '/v1/terminals/91', { enabled: false });
    expect(patched.json).toMatchObject({ userId: 5, features: ['erase'], enabled: false, number: '1091' });
    const type = { 'content-type': 'application/merge-patch+json' };
    expect((await rest.api.request('PATCH', '/v1/terminals/91', { userId: null }, type)).json).toMatchObject({
      userId: null,
      enabled: false,
    });
    const put = await rest.api.request('PUT', '/v1/terminals/91', { number: '1091' });
    expect(put.json).toMatchObject({ userId: null, features: ['redial', 'return'], enabled: true });
    expect((await rest.api.request('PATCH', '/v1/terminals/91', { username: 'x' })).json).toMatchObject({
      status: 400,
    });
    expect((await rest.api.request('PATCH', '/v1/terminals/9191', {})).status).toBe(404);
    await rest.api.request('DELETE', '/v1/terminals/91');
  });

  it('of two who read and then change one terminal the second is told, whoever writes at once', async () => {
    await rest.provision(92);
    const read = await rest.api.request('GET', '/v1/terminals/92');
    const etag = String(read.headers['etag']);
    expect(
      (await rest.api.request('GET', '/v1/terminals/92', undefined, { 'if-none-match': etag })).status,
    ).toBe(304);
    const patch = (userId: number) =>
      rest.api.request('PATCH', '/v1/terminals/92', { userId }, { 'if-match': etag });
    const answers = await Promise.all([patch(1), patch(2), patch(3)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412]);
    expect(answers.find(({ status }) => status === 412)?.json).toMatchObject({ code: 'CHANGED_MEANWHILE' });
    for (const method of ['PUT', 'DELETE'] as const) {
      const body = method === 'PUT' ? { number: '1092' } : undefined;
      expect(
        (await rest.api.request(method, '/v1/terminals/92', body, { 'if-match': etag })).status,
        method,
      ).toBe(412);
    }
    const current = String(answers.find(({ status }) => status === 200)?.headers['etag']);
    expect(
      (await rest.api.request('DELETE', '/v1/terminals/92', undefined, { 'if-match': current })).status,
    ).toBe(204);
  });

  it('a new username needs the password again: its hash holds the name', async () => {
    await rest.provision(72);
    const refused = await rest.api.request('PUT', '/v1/terminals/72', { number: '1072', username: 'ann' });
    expect(refused.json).toMatchObject({ status: 400, code: 'INVALID_VALUE' });
    expect(
      (await rest.api.request('PUT', '/v1/terminals/72', { number: '1072', username: 'ann', password: 'x' }))
        .status,
    ).toBe(200);
    await rest.api.request('DELETE', '/v1/terminals/72');
  });

  it('a taken id or number is a 409 that says which', async () => {
    await rest.provision(73);
    const again = await rest.api.request('POST', '/v1/terminals', terminal(73));
    expect(again.json).toMatchObject({ status: 409, code: 'TERMINAL_EXISTS' });
    const sameNumber = await rest.api.request('POST', '/v1/terminals', terminal(74, { number: '1073' }));
    expect(sameNumber.json.details.message).toContain("'1073'");
    expect((await rest.api.request('GET', '/v1/terminals/74')).status).toBe(404);
  });

  it('pages by id and finds by name', async () => {
    await rest.provision(75, 76);
    const first = await rest.api.request('GET', '/v1/terminals?after=74&limit=1');
    expect(first.json.terminals.map((t: { terminalId: number }) => t.terminalId)).toEqual([75]);
    const second = await rest.api.request('GET', `/v1/terminals?after=${first.json.next}&limit=5`);
    expect(second.json).toMatchObject({ terminals: [{ terminalId: 76 }], next: null });
    expect(
      (await rest.api.request('GET', '/v1/terminals?name=sip:1076@lastcall.test')).json.terminals,
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
    const { json } = await rest.api.request(method, url, body);
    expect(json).toMatchObject({ status: 400, code: 'INVALID_VALUE' });
    expect(json.details.faults.join('; ')).toContain(fault);
  });
});

describe('errors', () => {
  it('an unknown address is a problem, an unexpected error a bare 500', async () => {
    expect((await rest.api.request('GET', '/v1/nothing')).json).toMatchObject({
      status: 404,
      code: 'NOT_FOUND',
    });
    await rest.sql('a', 'ALTER FUNCTION lastcall.forget(bigint, text, timestamptz) RENAME TO forget_away');
    const broken = await rest.api.request('DELETE', '/v1/terminals/1/lastcalls');
    await rest.sql('a', 'ALTER FUNCTION lastcall.forget_away(bigint, text, timestamptz) RENAME TO forget');
    expect(broken).toMatchObject({
      status: 500,
      json: { type: 'about:blank', title: 'Unexpected error', status: 500 },
    });
    expect(Object.keys(broken.json)).toHaveLength(3);
  });

  it('requests are counted by route, never by path', async () => {
    const { body } = await rest.api.app.inject('/metrics');
    expect(body).toMatch(/lastcall_api_request_seconds_count\{.*route="\/v1\/terminals\/:terminalId".*\}/);
    expect(body).not.toContain('terminal=1001');
  });
});
