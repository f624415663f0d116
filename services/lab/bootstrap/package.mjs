import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ROOT } from './root.mjs';
import { runOrStop } from './run.mjs';

const SERVICES = ['api', 'call-control', 'cli', 'console', 'coordinator', 'replicator'];
/** `shared/servers` starts databases for the lab and the tests. */
const NOT_SHARED = ['servers'];
const TARGET = join(ROOT, 'dist', 'packages');
const WORK = join(ROOT, '.cache', 'package');

/** Builds `dist/packages/lastcall-VERSION.tgz` for npm, and where dpkg-deb is `lastcall_VERSION_all.deb`. Prints their paths. */
export async function buildPackages() {
  const manifest = readJson('package.json');
  for (const folder of [WORK, TARGET]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
  const staged = join(WORK, 'npm');
  stageProgram(staged, manifest);
  await runOrStop('npm', ['pack', '--silent', '--pack-destination', TARGET], {
    cwd: staged,
    stdio: 'ignore',
  });
  console.log(join('dist', 'packages', `lastcall-${manifest.version}.tgz`));
  if (spawnSync('dpkg-deb', ['--version'], { stdio: 'ignore' }).status !== 0) {
    console.log('No Debian package: dpkg-deb is not here.');
    return;
  }
  const root = join(WORK, 'debian');
  stageDebian(root, staged, manifest);
  const name = `lastcall_${manifest.version}_all.deb`;
  await runOrStop('dpkg-deb', ['--root-owner-group', '--build', root, join(TARGET, name)], {
    stdio: 'ignore',
    env: { ...process.env, SOURCE_DATE_EPOCH: String(lastChange()) },
  });
  console.log(join('dist', 'packages', name));
}

const readJson = (file) => JSON.parse(readFileSync(join(ROOT, file), 'utf8'));

/** What a server needs: the compiled processes, the SQL, the documents, and the very versions of the lock file. */
function stageProgram(staged, manifest) {
  for (const service of SERVICES) copy(`dist/services/${service}`, staged);
  for (const part of readdirSync(join(ROOT, 'dist/shared')))
    if (!NOT_SHARED.includes(part)) copy(`dist/shared/${part}`, staged);
  for (const part of ['sql', 'docs', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE'])
    copy(part, staged);
  chmodSync(join(staged, manifest.bin.lastcall), 0o755);
  const { bin, dependencies, description, engines, license, name, overrides, type, version } = manifest;
  const kept = { name, version, description, license, type, engines, bin, dependencies, overrides };
  writeJson(join(staged, 'package.json'), kept);
  const lock = readJson('package-lock.json');
  writeJson(join(staged, 'npm-shrinkwrap.json'), {
    ...lock,
    packages: { '': { name, version, license, bin, dependencies, engines }, ...runtimePackages(lock) },
  });
}

/** By their path in node_modules. */
function runtimePackages(lock) {
  return Object.fromEntries(
    Object.entries(lock.packages).filter(
      ([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional,
    ),
  );
}

/** Pure JavaScript, so one package for every architecture: optional packages are native speed-ups that nothing needs. */
function stageDebian(root, staged, { version }) {
  const lib = join(root, 'usr/lib/lastcall');
  cpSync(staged, lib, { recursive: true });
  const docs = join(root, 'usr/share/doc/lastcall');
  mkdirSync(docs, { recursive: true });
  for (const part of ['docs', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE']) {
    cpSync(join(staged, part), join(docs, part === 'LICENSE' ? 'copyright' : part), { recursive: true });
    rmSync(join(lib, part), { recursive: true });
  }
  rmSync(join(lib, 'npm-shrinkwrap.json'));
  for (const [path, { optional }] of Object.entries(runtimePackages(readJson('package-lock.json'))))
    if (!optional) copyPackage(path, lib);

  const place = (from, to) => {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    cpSync(join(ROOT, 'docs/deploy', from), join(root, to));
  };
  place('systemd/lastcall@.service', 'usr/lib/systemd/system/lastcall@.service');
  place('systemd/lastcall.target', 'usr/lib/systemd/system/lastcall.target');
  place('systemd/lastcall.sysusers', 'usr/lib/sysusers.d/lastcall.conf');
  place('systemd/lastcall.tmpfiles', 'usr/lib/tmpfiles.d/lastcall.conf');
  mkdirSync(join(root, 'usr/bin'));
  symlinkSync('../lib/lastcall/dist/services/cli/main.js', join(root, 'usr/bin/lastcall'));

  for (const script of ['postinst', 'prerm', 'postrm']) {
    place(`debian/${script}`, `DEBIAN/${script}`);
    chmodSync(join(root, 'DEBIAN', script), 0o755);
  }
  const control = readFileSync(join(ROOT, 'docs/deploy/debian/control'), 'utf8')
    .replace('VERSION', version)
    .replace('INSTALLED_SIZE', String(Math.ceil(bytesBelow(root) / 1024)));
  writeFileSync(join(root, 'DEBIAN/control'), control);
}

const UNUSED_FILE = /(\.[cm]?ts|\.map|\.md|\.tsbuildinfo)$/i;
const UNUSED_FOLDER = /^(node_modules|tests?|bench(marks?)?|examples?|docs?|\.\w+)$/;

/** Without what only compilers, readers and authors of the package use. */
function copyPackage(path, lib) {
  const from = join(ROOT, path);
  cpSync(from, join(lib, path), {
    recursive: true,
    filter: (file) =>
      !UNUSED_FILE.test(file) && (dirname(file) !== from || !UNUSED_FOLDER.test(basename(file))),
  });
}

function copy(path, staged) {
  cpSync(join(ROOT, path), join(staged, path), {
    recursive: true,
    filter: (file) => !basename(file).startsWith('.'),
  });
}

const writeJson = (file, value) => writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)));
}

const bytesBelow = (folder) => filesBelow(folder).reduce((sum, { size }) => sum + size, 0);

/** Unix seconds of the last commit: the same sources give the same package. */
function lastChange() {
  const { stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' });
  return Number(stdout?.trim() || Math.floor(statSync(join(ROOT, 'package.json')).mtimeMs / 1000));
}
