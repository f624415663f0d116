import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { type RestSite, startRestSite } from './rest-site.ts';
import { checkState } from './started-api.ts';

let rest: RestSite;
beforeAll(async () => {
  rest = await startRestSite();
});
afterAll(() => rest.stop());

describe('with PostgreSQL away', () => {
  it('R12, C8, C7: calls are journalled with 202, answer the next lookup, and land in the table when it is back', async () => {
    await rest.provision(31, 32);
    await rest.call({ callId: 'o0', event: 'dialed', from: '1031', to: '1' });
    await rest.target('terminal=1032&code=*52');
    await rest.sites.server.stop('immediate');
    await waitFor(() => checkState(rest.api.app, 'postgres', 'down'), { what: 'the loss to be seen' });
    expect((await rest.api.app.inject('/readyz')).json()).toMatchObject({ status: 'degraded' });

    const journalled = await rest.call({ callId: 'o1', event: 'dialed', from: '1031', to: '6001' });
    expect(journalled).toMatchObject({ status: 202, json: { result: 'journalled' } });
    const dated = await rest.call({
      callId: 'o2',
      event: 'missed',
      from: '6002',
      to: '1031',
      at: '2026-11-01T00:00:00Z',
    });
    expect(dated.status).toBe(202);
    expect((await rest.target('terminal=1031&code=*52')).json).toMatchObject({
      number: '6001',
      degraded: true,
    });
    const unreadable = await rest.target('terminal=1032&code=*52');
    expect(unreadable).toMatchObject({ status: 503, json: { code: 'UNREADABLE' } });
    expect(unreadable.headers['retry-after']).toBeDefined();
    expect((await rest.api.request('GET', '/v1/terminals')).json).toMatchObject({
      status: 503,
      code: 'DATABASE_UNREACHABLE',
    });
    const failover = await rest.api.request('POST', '/v1/failovers', { site: 'a' });
    expect(failover.status).toBe(202);

    await rest.sites.server.start();
    await waitFor(() => checkState(rest.api.app, 'journal', 'up'), { what: 'the journal to drain' });
    const drained = async () => {
      const [row] = await rest.sql(
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
    await rest.redis.stop();
    await waitFor(() => checkState(rest.api.app, 'redis', 'down'), { what: 'the loss to be seen' });
    expect((await rest.call({ callId: 'n1', event: 'dialed', from: '1031', to: '6003' })).status).toBe(200);
    expect((await rest.call({ callId: 'n1', event: 'dialed', from: '1031', to: '6003' })).status).toBe(200);
    expect((await rest.target('terminal=1031&code=*52')).json).toMatchObject({ number: '6003' });
    const { status, json } = await rest.api.request('POST', '/v1/failovers', {
      site: 'a',
      reason: 'no redis',
    });
    expect(status).toBe(202);
    expect(await rest.sql('a', 'SELECT reason FROM lastcall.failovers WHERE id = $1', [json.id])).toEqual([
      { reason: 'no redis' },
    ]);
    await rest.redis.start();
  });
});
