import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { PostgresBinaries } from '../../../shared/servers/postgres-binaries.ts';
import {
  createDatabase,
  describePostgres,
  type PostgresProgramOptions,
  preparePostgres,
  writePostgresSettings,
} from '../../../shared/servers/postgres-program.ts';
import { runProgram } from '../../../shared/servers/run-program.ts';
import type { Program } from '../../../shared/servers/server-process.ts';
import { spawnAs, unprivilegedUser } from '../../../shared/servers/server-user.ts';
import { REPMGR, type Repmgr, type RepmgrNode } from './repmgr.ts';

export type HaClusterOptions = {
  readonly repmgr: Repmgr;
  readonly binaries: PostgresBinaries;
  readonly nodes: readonly [RepmgrNode, RepmgrNode];
  /** Of the superuser. */
  readonly password: string;
  readonly repmgrPassword: string;
  readonly logFile: (part: string) => string;
  /** For repmgrd, whose event command inherits it. */
  readonly environment: NodeJS.ProcessEnv;
};

const SETTINGS = {
  shared_preload_libraries: 'repmgr',
  hot_standby_feedback: 'on',
  wal_log_hints: 'on',
  wal_keep_size: '64MB',
};

/**
 * Two servers under repmgr, one of them streaming from the other. Which is the primary is read from their data when the
 * cluster starts, and decided from then on by repmgrd alone: a server that ended stays down until it is revived, and then
 * comes back as a standby of the other one, if that was promoted meanwhile.
 */
export class HaCluster {
  readonly #options: HaClusterOptions;
  #primary: RepmgrNode;

  private constructor(options: HaClusterOptions, primary: RepmgrNode) {
    this.#options = options;
    this.#primary = primary;
  }

  static async open(options: HaClusterOptions): Promise<HaCluster> {
    const [first, second] = options.nodes;
    await options.repmgr.writeFiles(options.nodes);
    const histories = await Promise.all(
      options.nodes.map((node) => historyOf(options.binaries.binDir, node)),
    );
    return new HaCluster(
      options,
      secondIsPrimary(histories[0] ?? null, histories[1] ?? null) ? second : first,
    );
  }

  /** The superuser's URL of the server that is the primary at the start. */
  primaryUrl(database?: string): string {
    return this.#describe(this.#primary).url(database);
  }

  /** Runs from the start; the databases are made in it. */
  async primaryProgram(): Promise<[string, Program]> {
    const node = this.#primary;
    await preparePostgres(this.#postgresOptions(node));
    return [node.name, this.#program(node)];
  }

  /** Run once the primary does: its standby, cloned when need be, and a repmgrd for each server. */
  followers(): [string, Program][][] {
    const standby = this.#options.nodes.filter((node) => node !== this.#primary);
    return [
      standby.map((node) => [node.name, this.#program(node)]),
      this.#options.nodes.map((node) => [`${node.name}-repmgrd`, this.#daemon(node)]),
    ];
  }

  /** Makes repmgr's role and tables in the new primary. */
  async registerPrimary(): Promise<void> {
    const url = this.primaryUrl();
    await createRole(url, this.#options.repmgrPassword);
    await createDatabase(url, REPMGR);
    await this.#options.repmgr.registerPrimary(this.#primary);
  }

  #program(node: RepmgrNode): Program {
    return { ...this.#describe(node).program, restarts: false, prepare: () => this.#rejoin(node) };
  }

  /** Before every start of a server: as a standby if the other one is the primary now, else as it stands. */
  async #rejoin(node: RepmgrNode): Promise<void> {
    const [other] = this.#options.nodes.filter((candidate) => candidate !== node);
    if (!other || !(await isPrimary(this.#describe(other).url()))) return;
    if (!(await streamsFrom(node, other))) {
      await rm(node.dataDir, { recursive: true, force: true });
      await this.#options.repmgr.cloneStandby(node, other);
      await writePostgresSettings(this.#postgresOptions(node));
    }
    await this.#options.repmgr.registerStandby(node, other);
    this.#primary = other;
  }

  #daemon(node: RepmgrNode): Program {
    const { binaries, repmgr, logFile, environment } = this.#options;
    return {
      file: join(binaries.binDir, 'repmgrd'),
      args: ['-f', repmgr.configFile(node), '--daemonize=false', '--no-pid-file'],
      spawn: { ...spawnAs(unprivilegedUser()), env: { ...process.env, ...environment } },
      stopSignal: 'SIGTERM',
      logFile: logFile(`${node.name}-repmgrd`),
      ready: async () => {
        const pid = await ask(this.#describe(node).url(REPMGR), 'SELECT repmgr.get_repmgrd_pid() AS answer');
        if (Number(pid) > 0) return true;
        await delay(100);
        return false;
      },
    };
  }

  #describe(node: RepmgrNode) {
    return describePostgres(this.#postgresOptions(node), this.#options.binaries);
  }

  #postgresOptions({ name, port, dataDir }: RepmgrNode): PostgresProgramOptions {
    const { binaries, password, logFile } = this.#options;
    return { binDir: binaries.binDir, port, dataDir, password, settings: SETTINGS, logFile: logFile(name) };
  }
}

/** What the data in a node's folder was when its server ended last. */
export type NodeHistory = { readonly standby: boolean; readonly timeline: number };

/** A standby follows one that is none; of two that were primary, the later promoted has the newer timeline. */
export function secondIsPrimary(first: NodeHistory | null, second: NodeHistory | null): boolean {
  if (!second || second.standby) return false;
  return !first || first.standby || second.timeline > first.timeline;
}

/** `null` when there is no data. */
async function historyOf(binDir: string, { dataDir }: RepmgrNode): Promise<NodeHistory | null> {
  if (!existsSync(join(dataDir, 'PG_VERSION'))) return null;
  const text = await runProgram(join(binDir, 'pg_controldata'), [dataDir], {
    ...spawnAs(unprivilegedUser()),
    env: { ...process.env, LC_ALL: 'C' },
  });
  return {
    standby: existsSync(join(dataDir, 'standby.signal')),
    timeline: Number(/^Latest checkpoint's TimeLineID:\s+(\d+)/m.exec(text)?.[1] ?? 0),
  };
}

const isPrimary = async (url: string): Promise<boolean> =>
  (await ask(url, 'SELECT NOT pg_is_in_recovery() AS answer')) === true;

/** Whether the node's data is a standby's, set up to stream from `upstream`. */
async function streamsFrom({ dataDir }: RepmgrNode, upstream: RepmgrNode): Promise<boolean> {
  if (!existsSync(join(dataDir, 'standby.signal'))) return false;
  const settings = await readFile(join(dataDir, 'postgresql.auto.conf'), 'utf8').catch(() => '');
  return new RegExp(`primary_conninfo.*\\bport=${upstream.port}\\b`).test(settings);
}

/** The only column of the only row; `null` when the server does not answer. */
async function ask(connectionString: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query<{ answer: unknown }>(sql)).rows[0]?.answer ?? null;
  } catch {
    return null;
  } finally {
    await client.end().catch(() => {});
  }
}

async function createRole(connectionString: string, password: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [REPMGR]);
    const verb = rowCount === 0 ? 'CREATE' : 'ALTER';
    await client.query(
      `${verb} ROLE repmgr SUPERUSER LOGIN REPLICATION PASSWORD ${client.escapeLiteral(password)}`,
    );
  } finally {
    await client.end();
  }
}
