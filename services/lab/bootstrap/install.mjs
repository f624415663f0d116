import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { POSTGRES_FOLDERS, PROGRAMS } from './programs.mjs';
import { Obstacle } from './root.mjs';
import { run } from './run.mjs';

/** Debian leaves the sbin folders out of a user's PATH. */
const FOLDERS = [
  ...(process.env.PATH ?? '').split(':').filter(Boolean),
  '/usr/sbin',
  '/usr/local/sbin',
  '/sbin',
];

/** Installs what is missing of the named programs with apt where that is allowed; otherwise says how to, and stops. */
export async function installPrograms(names) {
  const missing = names.filter((name) => !PROGRAMS[name].programs.some(isThere));
  if (missing.length === 0) return;
  const privilege = findPrivilege();
  if (privilege && isExecutable('apt-get')) await aptInstall(missing, privilege);
  const still = missing.filter((name) => !PROGRAMS[name].optional && !PROGRAMS[name].programs.some(isThere));
  if (still.length > 0) throw new Obstacle(explain(still));
}

const isThere = (program) => (program.startsWith('/') ? existsSync(program) : isExecutable(program));

function isExecutable(program) {
  return FOLDERS.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** How to become root without a question: not at all, or with sudo. `null`: neither. */
function findPrivilege() {
  if (process.getuid?.() === 0) return [];
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : null;
}

async function aptInstall(names, privilege) {
  const asRoot = (...command) => {
    const [program, ...args] = [...privilege, ...command];
    return run(program, args);
  };
  const apt = (...args) =>
    asRoot(
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      'RUNLEVEL=1',
      'NEEDRESTART_SUSPEND=1',
      'apt-get',
      '-q',
      '-o',
      'Dpkg::Use-Pty=0',
      ...args,
    );
  const install = (packages) => apt('install', '-y', '--no-install-recommends', ...packages);
  const [optional, required] = [true, false].map((wanted) =>
    names.filter((name) => !!PROGRAMS[name].optional === wanted),
  );
  const packagesOf = (chosen) => chosen.flatMap((name) => debianPackages(name));
  console.log(`Installing ${packagesOf(names).join(', ')} ...`);
  const before = knownServices(names.flatMap((name) => PROGRAMS[name].services ?? []));
  await withoutStartingServices(asRoot, async () => {
    await apt('update');
    if (required.length > 0) await install(packagesOf(required));
    for (const name of optional) await install(packagesOf([name]));
  });
  for (const service of servicesToDisable(names, before)) {
    if (isExecutable('systemctl')) await run(...disable(privilege, service), { stdio: 'ignore' });
  }
}

const debianPackages = (name) =>
  PROGRAMS[name].debian.map((each) =>
    each.includes('{major}') ? each.replace('{major}', debianMajor()) : each,
  );

/** The PostgreSQL that is installed, else the one of this Debian. */
function debianMajor() {
  const here = POSTGRES_FOLDERS.find(
    (folder) => folder.startsWith('/usr/lib/') && existsSync(join(folder, 'initdb')),
  );
  const { stdout } = spawnSync('apt-cache', ['depends', 'postgresql'], { encoding: 'utf8' });
  return /(\d+)/.exec(here ?? '')?.[1] ?? /Depends: postgresql-(\d+)/.exec(stdout ?? '')?.[1] ?? '15';
}

/**
 * Lastcall starts its own servers: those that the new packages brought must not come up at the next boot. A service that
 * this machine knew before is its owner's and stays as it is.
 */
export function servicesToDisable(names, knownBefore) {
  return names
    .flatMap((name) => PROGRAMS[name].services ?? [])
    .filter((service) => !knownBefore.includes(service));
}

/** Those for which there is a unit, enabled, running or neither. */
function knownServices(services) {
  if (!isExecutable('systemctl')) return [];
  return services.filter((service) => {
    const units = ['list-unit-files', '--no-legend', '--no-pager', `${service}.service`];
    const { stdout } = spawnSync('systemctl', units, { encoding: 'utf8' });
    const active = spawnSync('systemctl', ['is-active', '--quiet', `${service}.service`], {
      stdio: 'ignore',
    });
    return (stdout ?? '').trim() !== '' || active.status === 0;
  });
}

function disable(privilege, service) {
  const [program, ...args] = [...privilege, 'systemctl', 'disable', service];
  return [program, args];
}

/** Debian asks /usr/sbin/policy-rc.d before it starts a service of a new package; 101 forbids it. */
async function withoutStartingServices(asRoot, body) {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return body();
  const root = process.getuid?.() === 0;
  const remove = () =>
    root ? rmSync(policy, { force: true }) : spawnSync('sudo', ['-n', 'rm', '-f', policy]);
  const interrupted = () => {
    remove();
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, interrupted);
  try {
    if (root) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
    else await asRoot('sh', '-c', `printf '#!/bin/sh\\nexit 101\\n' > ${policy} && chmod 755 ${policy}`);
    return await body();
  } finally {
    remove();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, interrupted);
  }
}

function explain(names) {
  const of = (system) =>
    names
      .flatMap((name) => (system === 'debian' ? debianPackages(name) : (PROGRAMS[name][system] ?? [])))
      .join(' ');
  return [
    `Missing: ${names.map((name) => PROGRAMS[name].programs.join(' or ')).join(', ')}. Install them and run this again:`,
    `  Debian, Ubuntu:  sudo apt-get install --no-install-recommends ${of('debian')}`,
    `  Fedora:          sudo dnf install ${of('fedora')}`,
    `  macOS:           brew install ${of('macos')}`,
  ].join('\n');
}
