import { chmod, chown, copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { runProgram } from '../../shared/servers/run-program.ts';
import { type ServerProcess, startServerProcess } from '../../shared/servers/server-process.ts';
import { giveTo, unprivilegedUser } from '../../shared/servers/server-user.ts';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import { type PostgresServer, startPostgres, withClient } from './postgres.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { waitFor } from './wait-for.ts';

const SERVICES = ['call-control', 'replicator', 'coordinator', 'api'] as const;
const UNIT = 'usr/lib/systemd/system/lastcall@.service';

/** Where one site listens, in the place of what docs/deploy/site.yaml says. */
export interface SitePorts {
  readonly postgres: number;
  readonly redis: number;
  readonly sip: number;
  readonly api: number;
  readonly health: readonly [number, number, number];
}

export async function sitePorts(): Promise<SitePorts> {
  const port = freePort;
  const health = [await port(), await port(), await port()] as const;
  return { postgres: await port(), redis: await port(), sip: await port(), api: await port(), health };
}

/** The Debian package in a root folder of its own: a machine without the checkout. */
export async function installDebian(deb: string): Promise<string> {
  const root = await mkdtemp(join(privateTemporaryFolder(), 'installed-'));
  await chmod(root, 0o755);
  for (const folder of ['etc', 'usr/bin', 'var/lib/dpkg/info', 'var/lib/dpkg/updates'])
    await mkdir(join(root, folder), { recursive: true });
  for (const file of ['status', 'available']) await writeFile(join(root, 'var/lib/dpkg', file), '');
  // Its own programs are not in that root, so nothing that it depends on is.
  const dpkg = [
    'dpkg',
    `--root=${root}`,
    '--force-script-chrootless,depends,not-root',
    '--log=/dev/null',
    '-i',
    deb,
  ];
  await runProgram(process.getuid?.() === 0 ? 'env' : 'fakeroot', dpkg);
  return root;
}

/** One site, installed and configured step by step as docs/install.md says. */
export class InstalledSite {
  readonly root: string;
  readonly ports: SitePorts;
  readonly postgres: PostgresServer;
  readonly #ownerPassword: string;
  #redis: RedisServer | null = null;
  readonly #processes = new Map<string, ServerProcess>();

  private constructor(root: string, ports: SitePorts, postgres: PostgresServer, ownerPassword: string) {
    this.root = root;
    this.ports = ports;
    this.postgres = postgres;
    this.#ownerPassword = ownerPassword;
  }

  /** Steps 1 and 2: the package, PostgreSQL over TLS with the page's settings, a superuser for `lastcall init`. */
  static async install(deb: string, tls: { certificate: string; key: string }): Promise<InstalledSite> {
    const ports = await sitePorts();
    const root = await installDebian(deb);
    const [certificate, key] = [join(root, 'server.pem'), join(root, 'server.key')];
    await copyFile(tls.certificate, certificate);
    await copyFile(tls.key, key);
    await chmod(key, 0o600);
    for (const file of [certificate, key]) await giveTo(unprivilegedUser(), file);
    await copyFile(tls.certificate, join(root, 'etc/lastcall/ca.pem'));
    await chmod(join(root, 'etc/lastcall/ca.pem'), 0o644);
    const page = await readFile(join(root, 'usr/share/doc/lastcall/docs/install.md'), 'utf8');
    const settings = Object.fromEntries(
      (/```\n(wal_level[\s\S]*?)```/.exec(page)?.[1] ?? '')
        .trim()
        .split('\n')
        .map((line) => line.split(' = ') as [string, string])
        .filter(([name]) => name !== 'listen_addresses'),
    );
    const postgres = await startPostgres({
      port: ports.postgres,
      settings: { ...settings, ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key },
    });
    const ownerPassword = (await runProgram('openssl', ['rand', '-hex', '24'])).trim();
    const [, sql = ''] = /psql -c "(CREATE ROLE lastcall_setup [^"]*)"/.exec(page) ?? [];
    await withClient(postgres.url(), async (client) => {
      await client.query(sql.replace('$OWNER_PASSWORD', ownerPassword));
      await client.query('CREATE DATABASE lastcall');
    });
    return new InstalledSite(root, ports, postgres, ownerPassword);
  }

  get configFile(): string {
    return join(this.root, 'etc/lastcall/lastcall.yaml');
  }

  /** Step 3's loop over the names of the secrets, as the page has it, in this root's /etc/lastcall. */
  async fillInSecrets(): Promise<void> {
    const page = await readFile(join(this.root, 'usr/share/doc/lastcall/docs/install.md'), 'utf8');
    const [, loop = ''] = /(^for name in APP_PASSWORD[\s\S]*?^done$)/m.exec(page) ?? [];
    await copyFile(join(this.root, 'usr/share/doc/lastcall/docs/deploy/site.yaml'), this.configFile);
    await runProgram('sh', ['-euc', loop], { cwd: join(this.root, 'etc/lastcall') });
  }

  /** Writes the file with this machine's addresses, and starts the Redis whose password it holds. */
  async configure(yaml: string): Promise<void> {
    const { ports } = this;
    const here: Readonly<Record<string, string>> = {
      '/etc/lastcall/': `${this.root}/etc/lastcall/`,
      '127.0.0.1:5432': `127.0.0.1:${ports.postgres}`,
      '127.0.0.1:6379': `127.0.0.1:${ports.redis}`,
      '127.0.0.1:8080': `127.0.0.1:${ports.api}`,
      '127.0.0.1:8081': `127.0.0.1:${ports.health[0]}`,
      '127.0.0.1:8082': `127.0.0.1:${ports.health[1]}`,
      '127.0.0.1:8083': `127.0.0.1:${ports.health[2]}`,
    };
    // Not the begin of a longer port.
    const text = Object.entries(here).reduce(
      (before, [there, own]) =>
        before.replaceAll(new RegExp(`${there.replaceAll('.', '\\.')}(?!\\d)`, 'g'), own),
      yaml,
    );
    await writeFile(this.configFile, text, { mode: 0o640 });
    const { gid } = await this.#lastcallUser();
    if (gid !== undefined) await chown(this.configFile, 0, gid);
    const password = /redis:\/\/:([^@]*)@/.exec(text)?.[1] ?? '';
    this.#redis ??= await startRedis({ port: ports.redis, password });
  }

  /** The user that the package made; who is not root stays who they are. */
  async #lastcallUser(): Promise<{ readonly uid?: number; readonly gid?: number }> {
    if (process.getuid?.() !== 0) return {};
    const users = await readFile(join(this.root, 'etc/passwd'), 'utf8');
    const [, uid, gid] = /^lastcall:x:(\d+):(\d+):/m.exec(users) ?? [];
    return { uid: Number(uid), gid: Number(gid) };
  }

  /** `lastcall ...`, with what the page exports for `lastcall init`. */
  async lastcall(...words: string[]): Promise<string> {
    return runProgram(join(this.root, 'usr/bin/lastcall'), words, {
      cwd: '/',
      env: {
        PATH: process.env['PATH'],
        LASTCALL_CONFIG: this.configFile,
        LASTCALL_POSTGRES_OWNER_URL: `postgres://lastcall_setup:${this.#ownerPassword}@127.0.0.1:${this.ports.postgres}/lastcall`,
      },
    });
  }

  /** `systemctl restart lastcall.target`, as far as it can be without systemd: the command and the environment of the unit. */
  async restart(): Promise<void> {
    await Promise.all(SERVICES.map((service) => this.restartService(service)));
  }

  async restartService(service: (typeof SERVICES)[number]): Promise<void> {
    await this.#processes.get(service)?.stop();
    const unit = await readFile(join(this.root, UNIT), 'utf8');
    const inRoot = (text: string) => text.replaceAll(/(?<==|\s)\/(usr\/lib|etc|var)\//g, `${this.root}/$1/`);
    const [, command = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? [];
    const [, ...args] = inRoot(` ${command}`).trim().replace('%i', service).split(' ');
    const environment = [...unit.matchAll(/^Environment=([^=]*)=(.*)$/gm)].map(([, name, value]) => [
      name,
      inRoot(`=${value}`).slice(1),
    ]);
    const process_ = startServerProcess({
      file: process.execPath,
      args,
      spawn: {
        cwd: join(this.root, 'var/lib/lastcall'),
        env: Object.fromEntries(environment),
        ...(await this.#lastcallUser()),
      },
      stopSignal: 'SIGTERM',
      logFile: join(this.root, `${service}.log`),
      ready: async () => true,
    });
    this.#processes.set(service, process_);
    await waitFor(() => this.lastcall('ready', '--degraded-is-ready', service), {
      what: `${service} of ${this.root}`,
      deadlineMs: 60_000,
      everyMs: 200,
    }).catch(async (cause: unknown) => {
      const log = await readFile(join(this.root, `${service}.log`), 'utf8');
      throw new Error(`${service}: ${log.slice(-3_000)}`, { cause });
    });
  }

  /** `systemctl stop lastcall.target` */
  async stop(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((each) => each.stop()));
    this.#processes.clear();
  }

  async remove(): Promise<void> {
    await this.stop();
    await Promise.all([this.postgres.remove(), this.#redis?.remove()]);
    await rm(this.root, { recursive: true, force: true });
  }
}

/** Builds both packages as `npm run package` does and gives their paths. */
export async function buildPackages(): Promise<{ readonly npm: string; readonly debian: string }> {
  const root = packageRoot();
  const said = await runProgram(process.execPath, [join(root, 'services/lab/bootstrap.mjs'), 'package'], {
    cwd: root,
  });
  const paths = said.split('\n').filter((line) => line.startsWith('dist/packages/'));
  const [npm, debian] = ['.tgz', '.deb'].map((ending) => paths.find((path) => path.endsWith(ending)) ?? '');
  return { npm: join(root, npm ?? ''), debian: join(root, debian ?? '') };
}

export const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);
