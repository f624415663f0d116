import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { micros } from '../../shared/domain/micros.ts';
import { writeCallRecords } from '../../shared/postgres/call-records/write-call-records.ts';
import { Database } from '../../shared/postgres/database.ts';
import { runCli } from '../unit/cli/run-cli.ts';
import { type RestSite, startRestSite } from './rest-site.ts';
import { READ_TOKEN } from './two-sites.ts';

let site: RestSite;
let database: Database;
beforeAll(async () => {
  site = await startRestSite();
  await site.provision(1, 2);
  database = new Database({ url: site.sites.url('a'), applicationName: 'test', maxConnections: 2 });
  await database.start();
});
beforeEach(() => site.sql('a', 'TRUNCATE lastcall.call_records'));
afterAll(async () => {
  await database?.close();
  await site?.stop();
});

/** `count` calls from 1001 to 1002, the newest first a second ago, each a second older. */
async function write(count: number, more: object = {}): Promise<void> {
  const now = Date.now() * 1000;
  const calls = Array.from({ length: count }, (_, index) => ({
    recordId: randomUUID(),
    at: micros(now - (index + 1) * 1_000_000),
    callId: `call-${index}`,
    fromTerminalId: 1,
    fromNumber: '1001',
    withheld: false,
    toTerminalId: 2,
    toNumber: '1002',
    code: null,
    sourceSite: null,
    sourceAgeMs: null,
    result: 'answered',
    status: 200,
    setupMs: 12,
    talkMs: 3_000,
    ...more,
  }));
  await writeCallRecords(database, calls, 5_000);
}

const get = (query: string, headers = {}) =>
  site.api.request('GET', `/v1/records${query}`, undefined, headers);
const cli = (...words: string[]) => runCli(['records', ...words, '--config', site.sites.configFile('a')]);

describe('GET /v1/records', () => {
  it('pages from the newest to the oldest, each call once', async () => {
    await write(25);
    const seen: string[] = [];
    let query = '?limit=10';
    for (let page = 0; page < 3; page++) {
      const { json, status } = await get(query);
      expect(status).toBe(200);
      seen.push(...json.records.map((record: { callId: string }) => record.callId));
      query = `?limit=10&before=${encodeURIComponent(json.next)}`;
      if (page === 2) expect(json.next).toBeNull();
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => `call-${index}`));
  });

  it('gives those of one terminal, of one code, from a time on', async () => {
    await write(3);
    await write(2, { code: 'redial', fromTerminalId: 7, toTerminalId: null });
    expect((await get('?terminalId=2')).json.records).toHaveLength(3);
    expect((await get('?terminalId=7&code=redial')).json.records).toHaveLength(2);
    const from = new Date(Date.now() - 1_900).toISOString();
    expect((await get(`?from=${from}&terminalId=1`)).json.records).toHaveLength(1);
  });

  it('refuses what is no time and no page, and everybody but an admin', async () => {
    for (const query of ['?from=yesterday', '?before=1', '?limit=0', '?terminalId=x'])
      expect((await get(query)).status, query).toBe(400);
    expect((await get('', { authorization: `Bearer ${READ_TOKEN}` })).json).toMatchObject({
      status: 403,
      code: 'ROLE_INSUFFICIENT',
    });
  });
});

describe('lastcall records', () => {
  it('shows a table, JSON, or every call as CSV', async () => {
    await write(1_500);
    const shown = await cli('--terminal', '1002', '--limit', '2');
    expect(shown.exit).toBe(0);
    expect(shown.out).toMatch(/1001 +1002.*answered \(200\)/);
    expect(JSON.parse((await cli('--limit', '3', '--json')).out)).toHaveLength(3);
    const csv = (await cli('--csv', '--limit', '100000')).out.trim().split('\n');
    expect(csv[0]).toMatch(/^at,fromNumber,toNumber,code/);
    expect(csv).toHaveLength(1_501);
    expect(new Set(csv).size).toBe(1_501);
  });

  it('says when no call is written down, and what is no time', async () => {
    expect((await cli()).out).toContain('calls.recordDays is 0');
    expect(await cli('--from', 'yesterday')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('no time'),
    });
  });
});

describe('days', () => {
  it('has a partition for each day of the coming week; old days go whole, and 0 days leave nothing', async () => {
    await write(2);
    const days = async () =>
      (
        await site.sql(
          'a',
          `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
           WHERE i.inhparent = 'lastcall.call_records'::regclass AND c.relname ~ '\\d$' ORDER BY 1`,
        )
      ).map(({ relname }) => relname);
    expect(await days()).toHaveLength(7);
    await site.sql(
      'a',
      `CREATE TABLE lastcall.call_records_20200101 PARTITION OF lastcall.call_records FOR VALUES FROM ('2020-01-01Z') TO ('2020-01-02Z');
       ALTER TABLE lastcall.call_records_20200101 OWNER TO lastcall_owner`,
    );
    await database.query('SELECT lastcall.keep_call_records(30)');
    expect(await days()).toHaveLength(7);
    expect((await get('')).json.records).toHaveLength(2);
    await database.query('SELECT lastcall.keep_call_records(0)');
    expect(await days()).toHaveLength(0);
    await database.query('SELECT lastcall.keep_call_records(7)');
  });

  it('a call of a day without a partition is kept all the same', async () => {
    await write(1, { at: micros(Date.UTC(2031, 0, 1) * 1000) });
    expect(await site.sql('a', 'SELECT call_id FROM lastcall.call_records_other')).toHaveLength(1);
  });

  it('the application adds to the records and changes nothing in them but the talk time', async () => {
    await expect(database.query('DELETE FROM lastcall.call_records')).rejects.toThrow();
    await expect(database.query(`UPDATE lastcall.call_records SET to_number = '1'`)).rejects.toThrow();
  });
});
