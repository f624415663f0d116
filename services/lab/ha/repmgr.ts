import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '../../../shared/servers/run-program.ts';
import { giveTo, spawnAs, unprivilegedUser } from '../../../shared/servers/server-user.ts';

/** One PostgreSQL server of a repmgr cluster on this machine. */
export type RepmgrNode = {
  readonly id: number;
  readonly name: string;
  readonly port: number;
  readonly dataDir: string;
};

export type RepmgrOptions = {
  readonly binDir: string;
  /** Holds the configuration files and the password file; its user is the one PostgreSQL runs as. */
  readonly folder: string;
  readonly password: string;
  /** Run on every event of repmgrd, with repmgr's own placeholders; `null`: nobody is told. */
  readonly eventCommand: string | null;
};

/** The role and the database that repmgr keeps its own tables in. */
export const REPMGR = 'repmgr';

/** Writes `repmgr.conf` and the password file, and runs repmgr for the nodes of one cluster. */
export class Repmgr {
  readonly #options: RepmgrOptions;

  constructor(options: RepmgrOptions) {
    this.#options = options;
  }

  configFile(node: RepmgrNode): string {
    return join(this.#options.folder, `repmgr-${node.name}.conf`);
  }

  async writeFiles(nodes: readonly RepmgrNode[]): Promise<void> {
    const passwordFile = this.#passwordFile();
    await this.#write(passwordFile, `127.0.0.1:*:*:${REPMGR}:${this.#options.password}\n`);
    await chmod(passwordFile, 0o600); // libpq ignores one that others may read.
    for (const node of nodes) {
      const configFile = this.configFile(node);
      const { binDir, eventCommand } = this.#options;
      await this.#write(configFile, repmgrConfig({ node, binDir, configFile, passwordFile, eventCommand }));
    }
  }

  /** Makes this node the cluster's primary in repmgr's records, or refreshes its record. */
  async registerPrimary(node: RepmgrNode): Promise<void> {
    await this.#run(node, 'primary', 'register', '--force');
  }

  /** Copies the primary's data into the empty folder of `node` and sets it up to stream. */
  async cloneStandby(node: RepmgrNode, primary: RepmgrNode): Promise<void> {
    await this.#run(node, ...this.#from(primary), 'standby', 'clone', '--fast-checkpoint');
  }

  /** Records `node` as a standby, whether it runs yet or not. */
  async registerStandby(node: RepmgrNode, primary: RepmgrNode): Promise<void> {
    const upstream = `--upstream-node-id=${primary.id}`;
    await this.#run(node, ...this.#from(primary), 'standby', 'register', '--force', upstream);
  }

  #from({ port }: RepmgrNode): string[] {
    return [
      '-h',
      '127.0.0.1',
      '-p',
      String(port),
      '-U',
      REPMGR,
      '-d',
      connection(port, this.#passwordFile()),
    ];
  }

  async #run(node: RepmgrNode, ...args: string[]): Promise<void> {
    const file = join(this.#options.binDir, 'repmgr');
    await runProgram(file, ['-f', this.configFile(node), ...args], spawnAs(unprivilegedUser()));
  }

  #passwordFile(): string {
    return join(this.#options.folder, 'repmgr.pgpass');
  }

  async #write(file: string, text: string): Promise<void> {
    await writeFile(file, text, { mode: 0o600 });
    await giveTo(unprivilegedUser(), file);
  }
}

function connection(port: number, passwordFile: string): string {
  return `host=127.0.0.1 port=${port} user=${REPMGR} dbname=${REPMGR} connect_timeout=2 passfile=${passwordFile}`;
}

/** repmgrd looks every second and promotes after two more failures: three to four seconds without a primary. */
export function repmgrConfig(of: {
  node: RepmgrNode;
  binDir: string;
  configFile: string;
  passwordFile: string;
  eventCommand: string | null;
}): string {
  const repmgr = `${join(of.binDir, 'repmgr')} -f ${of.configFile}`;
  const settings = {
    node_id: String(of.node.id),
    node_name: of.node.name,
    conninfo: connection(of.node.port, of.passwordFile),
    data_directory: of.node.dataDir,
    pg_bindir: of.binDir,
    passfile: of.passwordFile,
    failover: 'automatic',
    promote_command: `${repmgr} standby promote`,
    follow_command: `${repmgr} standby follow --upstream-node-id=%n`,
    monitor_interval_secs: '1',
    reconnect_attempts: '2',
    reconnect_interval: '1',
    log_level: 'INFO',
    ...(of.eventCommand ? { event_notification_command: of.eventCommand } : {}),
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}='${value.replaceAll("'", "''")}'\n`)
    .join('');
}
