import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RestSite, startRestSite } from './rest-site.ts';

let rest: RestSite;
beforeAll(async () => {
  rest = await startRestSite();
});
afterAll(() => rest.stop());

describe('/v1/replication', () => {
  it('shows both directions, each as its subscriber reports it', async () => {
    await rest.sql(
      'b',
      `INSERT INTO lastcall.replication_status (peer, state, lag_ms, slot_wal_status) VALUES ('a', 'streaming', 2.5, 'reserved')`,
    );
    const { json } = await rest.api.request('GET', '/v1/replication');
    expect(json.directions).toMatchObject([
      { from: 'a', to: 'b', state: 'streaming', lagMs: 2.5, slot: { walStatus: 'reserved' } },
      { from: 'b', to: 'a', state: 'stopped', reason: 'never-started' },
    ]);
  });

  it('pause, resume and resync are written at the subscriber', async () => {
    expect((await rest.api.request('POST', '/v1/replication/a/b/pause')).status).toBe(202);
    expect(await rest.sql('b', 'SELECT peer, paused FROM lastcall.replication_control')).toEqual([
      { peer: 'a', paused: true },
    ]);
    await rest.api.request('POST', '/v1/replication/a/b/resume');
    await rest.api.request('POST', '/v1/replication/b/a/resync');
    expect(await rest.sql('b', 'SELECT paused FROM lastcall.replication_control')).toEqual([
      { paused: false },
    ]);
    expect(
      await rest.sql(
        'a',
        'SELECT resync_requested_at IS NOT NULL AS asked FROM lastcall.replication_control',
      ),
    ).toEqual([{ asked: true }]);
    expect((await rest.api.request('POST', '/v1/replication/a/x/pause')).json).toMatchObject({
      code: 'SITE_UNKNOWN',
    });
    expect((await rest.api.request('POST', '/v1/replication/x/b/pause')).json).toMatchObject({
      code: 'SITE_UNKNOWN',
    });
    expect((await rest.api.request('POST', '/v1/replication/a/a/pause')).status).toBe(400);
  });
});

describe('POST /v1/compare', () => {
  it('names the differing keys, and repair copies the origin over them', async () => {
    // What the replicator would do: apply each site's heartbeat at the other.
    await rest.sql('b', `INSERT INTO lastcall.heartbeat_a (beat_at) VALUES ('infinity')`);
    await rest.sql('a', `INSERT INTO lastcall.heartbeat_b (beat_at) VALUES ('infinity')`);
    await rest.provision(61);
    await rest.sql('b', 'DELETE FROM lastcall.terminals_a');
    const { status, json } = await rest.api.request('POST', '/v1/compare', {});
    expect(status).toBe(200);
    expect(json.equal).toBe(false);
    const copy = json.tables.find((entry: { table: string }) => entry.table === 'terminals_a');
    expect(copy).toMatchObject({ from: 'a', to: 'b', copyRows: 0, differing: copy.originRows });
    expect(copy.differingKeys).toContain(61);
    expect((await rest.api.request('POST', '/v1/compare', { repair: true })).json.equal).toBe(true);
    const [row] = await rest.sql('b', 'SELECT number FROM lastcall.terminals_a WHERE terminal_id = 61');
    expect(row).toEqual({ number: '1061' });
    expect((await rest.api.request('POST', '/v1/compare', { repair: 'yes' })).status).toBe(400);
  });
});

describe('/v1/failovers', () => {
  it('is kept in PostgreSQL and as a job, and its report can be read', async () => {
    const { status, json } = await rest.api.request('POST', '/v1/failovers', { site: 'b', reason: 'drill' });
    expect(status).toBe(202);
    const report = await rest.api.request('GET', `/v1/failovers/${json.id}`);
    expect(report.json).toMatchObject({
      id: json.id,
      site: 'b',
      reason: 'drill',
      requestedBy: 'api',
      state: 'running',
      steps: [],
    });
    expect((await rest.api.request('GET', '/v1/failovers')).json.failovers[0].id).toBe(json.id);
    const client = new Redis(rest.redis.url);
    expect(await client.exists(`lastcall:{a}:failover:${json.id}`)).toBe(1);
    client.disconnect();
  });

  it('an unknown site and an unknown id are 404', async () => {
    expect((await rest.api.request('POST', '/v1/failovers', { site: 'x' })).json).toMatchObject({
      status: 404,
      code: 'SITE_UNKNOWN',
    });
    const unknown = await rest.api.request('GET', '/v1/failovers/00000000-0000-4000-8000-000000000000');
    expect(unknown.json).toMatchObject({ status: 404, code: 'FAILOVER_NOT_FOUND' });
    expect((await rest.api.request('GET', '/v1/failovers/1')).status).toBe(400);
  });
});
