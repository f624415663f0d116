import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../unit/cli/run-cli.ts';
import { type RestSite, startRestSite } from './rest-site.ts';
import { READ_TOKEN } from './two-sites.ts';

let rest: RestSite;
beforeAll(async () => {
  rest = await startRestSite();
  await add(
    'forwardings',
    '--key',
    'terminal_id:bigint',
    '--group',
    'forward:forwarded_at(forward_to)',
    '--column',
    'note',
  );
  await add(
    'switches',
    '--key',
    'terminal_id:bigint',
    '--key',
    'reason:text',
    '--group',
    'set:set_at(active:boolean)',
  );
});
afterAll(() => rest.stop());

const add = async (...line: string[]) => {
  const run = await runCli(['tables', 'add', ...line, '--config', rest.sites.configFile('a')]);
  expect(run.err).toBe('');
};
const get = async (kind: string, key: string) => {
  const { statusCode, body } = await rest.api.app.inject({
    url: `/v1/tables/${kind}/${key}`,
    headers: { authorization: `Bearer ${READ_TOKEN}` },
  });
  return { status: statusCode, json: JSON.parse(body) };
};

describe('GET /v1/tables/{kind}/{key}', () => {
  it('answers the freshest of each group with its site and date to the microsecond', async () => {
    await rest.sql(
      'a',
      `INSERT INTO lastcall.forwardings (terminal_id, forward_to, forwarded_at, note) VALUES (5, '2001', '2026-01-01 00:00:00.123456Z', 'n')`,
    );
    await rest.sql(
      'a',
      `INSERT INTO lastcall.forwardings_b (terminal_id, forward_to, forwarded_at) VALUES (5, '2002', '2026-01-01 00:00:00.123457Z')`,
    );
    expect(await get('forwardings', '5')).toEqual({
      status: 200,
      json: {
        kind: 'forwardings',
        key: { terminal_id: 5 },
        groups: {
          forward: { site: 'b', at: '2026-01-01T00:00:00.123457Z', columns: { forward_to: '2002' } },
        },
        columns: { note: 'n' },
      },
    });
  });

  it('takes a key of several columns as a JSON array of strings, and says so', async () => {
    await rest.sql(
      'a',
      `INSERT INTO lastcall.switches (terminal_id, reason, active) VALUES (5, 'a/b', true)`,
    );
    const found = await get('switches', encodeURIComponent('["5","a/b"]'));
    expect(found.json).toMatchObject({
      key: { terminal_id: 5, reason: 'a/b' },
      groups: { set: { columns: { active: true } } },
    });
    const refused = await get('switches', '5');
    expect(refused).toMatchObject({ status: 400, json: { code: 'INVALID_VALUE' } });
    expect(refused.json.details.message).toContain('["<terminal_id>","<reason>"]');
  });

  it.each([
    ['forwardings', '6', 404, 'ROW_NOT_FOUND'],
    ['nothing', '6', 404, 'TABLE_UNKNOWN'],
    ['terminals', '5', 404, 'TABLE_UNKNOWN'],
    ['forwardings', 'six', 400, 'INVALID_VALUE'],
  ])('%s/%s answers %i %s', async (kind, key, status, code) => {
    expect(await get(kind, key)).toMatchObject({ status, json: { code } });
  });

  it('C9 what was forgotten is not found', async () => {
    await rest.sql('a', 'DELETE FROM lastcall.forwardings WHERE terminal_id = 5');
    expect(await get('forwardings', '5')).toMatchObject({ status: 404, json: { code: 'ROW_NOT_FOUND' } });
  });
});

describe('tables and targets, as they are listed', () => {
  it('tables list names those of Lastcall and the added ones, with their keys', async () => {
    const run = await runCli(['tables', 'list', '--config', rest.sites.configFile('a')]);
    expect(run).toMatchObject({ exit: 0, err: '' });
    expect(run.out).toMatch(/^lastcalls +terminal_id/m);
    expect(run.out).toMatch(/^switches +terminal_id, reason +set/m);
  });

  it('GET /v1/targets says of each target what the replicator said last, and no URL', async () => {
    await rest.sql(
      'a',
      `INSERT INTO lastcall.targets (target, url, kinds) VALUES ('billing', 'mariadb://u:secret@h/d', '{lastcalls}')`,
    );
    const { json, status, text } = await rest.api.request('GET', '/v1/targets');
    expect(status).toBe(200);
    expect(json).toMatchObject({ site: 'a', targets: [{ target: 'billing', kinds: ['lastcalls'] }] });
    expect(text).not.toContain('secret');
    await rest.sql('a', `DELETE FROM lastcall.targets`);
  });
});
