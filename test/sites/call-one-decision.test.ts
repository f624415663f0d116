import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type StartedApi, startApi } from '../pg/started-api.ts';
import { ADMIN_TOKEN } from '../pg/two-sites.ts';
import { query } from '../support/replication-pair.ts';
import { CallSites, type RunningSite } from '../support/sip-phone-sites.ts';
import { untilRow } from '../support/site-rows.ts';
import { DOMAIN } from '../support/site-terminals.ts';
import { runCli } from '../unit/cli/run-cli.ts';

const BARRED = { calls: { barredNumbers: ['0900*'] } };
const RUN_BY_A_DIAL_PLAN = '$' + '{SHELL(id)}';

let sites: CallSites;
let site: RunningSite;
let api: StartedApi;
let configFile: string;

beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002', enabled: false },
    { terminalId: 3, number: '1003', features: ['redial'] },
    { terminalId: 4, number: '1004' },
  ]);
  const tokens = { api: { listen: '127.0.0.1:1', tokens: [{ token: ADMIN_TOKEN, role: 'admin' }] } };
  const yaml = sites.yaml('a', { ...BARRED, ...tokens });
  configFile = join(mkdtempSync(join(tmpdir(), 'lastcall-decision-')), 'a.yaml');
  writeFileSync(configFile, yaml);
  [site, api] = await Promise.all([sites.run('a', BARRED), startApi(yaml)]);
});
afterEach(() => sites.stopPhones());
afterAll(async () => {
  await api.stop();
  await sites.stop();
});

/** What stands in the tables, however it came there. */
async function received(terminalId: number, number: string | null): Promise<void> {
  await query(
    sites.databases.a.owner,
    `INSERT INTO lastcall.lastcalls_a AS l (terminal_id, last_received_call, last_received_date, last_received_call_id)
       VALUES ($1, $2, clock_timestamp(), 'call-1')
       ON CONFLICT (terminal_id) DO UPDATE SET last_received_call = excluded.last_received_call,
         last_received_date = excluded.last_received_date, last_received_call_id = excluded.last_received_call_id`,
    [terminalId, number],
  );
}

async function overSip(number: string): Promise<string> {
  const phone = await sites.phone(site, number);
  const { reason, status } = await phone.invite('*69').final();
  return `${status} ${reason}`;
}
const overRest = async (number: string, headers = {}) =>
  api.request('GET', `/v1/target?terminal=${number}&code=*69`, undefined, headers);
async function atTheCommandLine(number: string): Promise<string> {
  const run = await runCli(['lookup', number, '*69', '--json', '--config', configFile]);
  return JSON.parse(run.out).error?.code ?? JSON.parse(run.out).number;
}

describe('F20 SIP, REST and the command line answer one question with one decision', () => {
  it.each<[what: string, number: string, stored: string | null, sip: string, status: number, code: string]>([
    ['a barred number', '1001', '09001234', '403 Number Barred', 403, 'BARRED'],
    ['an emergency number', '1001', '112', '480 Emergency Number Not Redialed', 404, 'EMERGENCY'],
    ['the own number', '1001', '10-01', '480 Last Call Is Own Number', 404, 'SELF'],
    ['a feature code', '1001', '*52', '480 Last Call Is A Feature Code', 404, 'FEATURE_CODE'],
    ['a withheld caller', '1001', null, '480 Last Caller Withheld', 404, 'WITHHELD'],
    ['F21 a second channel', '1001', '0900&PJSIP/1', '480 Last Caller Withheld', 404, 'WITHHELD'],
    ['F21 a second line', '1001', '1\r\nX', '480 Last Caller Withheld', 404, 'WITHHELD'],
    ['F21 a program', '1001', RUN_BY_A_DIAL_PLAN, '480 Last Caller Withheld', 404, 'WITHHELD'],
    ['a disabled terminal', '1002', '1004', '403 Terminal Disabled', 403, 'TERMINAL_DISABLED'],
    ['a feature that is off', '1003', '1004', '403 Feature Not Enabled', 403, 'FEATURE_NOT_ENABLED'],
  ])('%s', async (_, number, stored, sip, status, code) => {
    await received(Number(number) - 1000, stored);
    expect(await overSip(number)).toBe(sip);
    expect(await overRest(number)).toMatchObject({ status, json: { code } });
    const text = await overRest(number, { accept: 'text/plain' });
    expect([text.status, text.text]).toEqual([status, '']);
    const byId = await api.request('GET', `/v1/target?terminalId=${Number(number) - 1000}&code=*69`);
    expect(byId.json).toMatchObject({ code });
    expect(await atTheCommandLine(number)).toBe(code);
  });

  it('a number that may be called is the same everywhere, its separators left away', async () => {
    await received(1, '+49 (30) 10-04');
    expect(await overRest('1001')).toMatchObject({ status: 200, json: { number: '+49301004' } });
    expect((await overRest('1001', { accept: 'text/plain' })).text).toBe('+49301004');
    expect(await atTheCommandLine('1001')).toBe('+49301004');
  });
});

it('F20 a disabled terminal that a trusted proxy names hears the same refusal', async () => {
  const trusting = await sites.run('b', { sip: { trustedPeers: ['127.0.0.1'] } });
  const proxy = await sites.phone(trusting, 'proxy', { anonymous: true });
  const asserted = [['P-Asserted-Identity', `<sip:1002@${DOMAIN}>`]] as const;
  expect((await proxy.invite('*52', { headers: asserted }).final()).status).toBe(403);
  await trusting.stop();
});

describe('F21 what is stored is dialable', () => {
  it('a caller who is asserted as no number is kept as withheld, and so is what no number was dialed', async () => {
    const trusting = await sites.run('b', { sip: { trustedPeers: ['127.0.0.1'] } });
    const trunk = await sites.phone(trusting, 'trunk', { anonymous: true });
    for (const [caller, stored] of [
      ['0900&PJSIP/1', null],
      ['%E2%98%8E', null],
      [encodeURIComponent(RUN_BY_A_DIAL_PLAN), null],
      ['+49-30-1', '+49301'],
    ] as const) {
      const asserted = [['P-Asserted-Identity', `<sip:${caller}@${DOMAIN}>`]] as const;
      await trunk.invite('1004', { headers: asserted }).final();
      await untilRow(sites.databases.b, 4, {
        last_received_call: stored,
        last_received_sip_uri: stored && `sip:${caller}@${DOMAIN}`,
      });
    }
    const asserted = [['P-Asserted-Identity', `<sip:1001@${DOMAIN}>`]] as const;
    await trunk.invite('0900%261', { headers: asserted }).final();
    await untilRow(sites.databases.b, 1, { last_dialed_call: null });
    expect(
      await query(
        sites.databases.b.owner,
        'SELECT last_dialed_date FROM lastcall.lastcalls_b WHERE terminal_id = 1',
      ),
    ).toMatchObject([{ last_dialed_date: expect.anything() }]);
    await trusting.stop();
  });

  it('over REST such a number is refused with what is allowed, in a call and in a terminal', async () => {
    for (const number of ['0900&PJSIP/1', '1\r\nX', RUN_BY_A_DIAL_PLAN, '1'.repeat(33)]) {
      for (const body of [
        { callId: `d${number}`, event: 'dialed', from: '1001', to: number },
        { callId: `m${number}`, event: 'missed', from: number, to: '1001' },
        { callId: `f${number}`, event: 'missed', from: '4420', to: '1001', forwardedBy: number },
      ]) {
        const { json, status } = await api.request('POST', '/v1/calls', body);
        expect([status, json.code]).toEqual([400, 'INVALID_VALUE']);
        expect(JSON.stringify(json)).toMatch(/A to D|A-D/);
      }
      const terminal = { terminalId: 9, number, password: 'pw' };
      expect((await api.request('POST', '/v1/terminals', terminal)).status).toBe(400);
    }
  });

  it('a terminal that is named by its username is called by its number', async () => {
    await api.request('POST', '/v1/terminals', {
      terminalId: 8,
      number: '1008',
      username: 'carol',
      password: 'pw',
    });
    await api.request('POST', '/v1/calls', { callId: 'by-name', event: 'dialed', from: '1001', to: 'carol' });
    const phone = await sites.phone(site, '1004');
    const call = phone.invite('carol');
    await untilRow(sites.databases.a, 4, { last_dialed_call: '1008' });
    call.cancel();
    const redial = await api.request('GET', '/v1/target?terminal=1001&code=*52');
    expect(redial.json).toMatchObject({ number: '1008' });
  });

  it('plain SQL cannot provision such a number', async () => {
    const change = query(
      sites.databases.a.app,
      `UPDATE lastcall.terminals SET number = '0900&PJSIP/1' WHERE terminal_id = 4`,
    );
    await expect(change).rejects.toMatchObject({ code: '23514', hint: expect.stringContaining('A to D') });
  });
});
