import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { type ServerProcess, startServerProcess } from '../../shared/servers/server-process.ts';
import type { CallSites, Overrides, SiteName } from './sip-phone-sites.ts';

/** How Node itself is started. */
export interface NodeOptions {
  readonly nodeArguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** call-control as its own process, to be killed: what the build made of it. */
export class CallControlProcess {
  readonly #configFile: string;
  readonly #health: string;
  readonly #node: NodeOptions;
  #process: ServerProcess;

  private constructor(configFile: string, health: string, node: NodeOptions) {
    this.#configFile = configFile;
    this.#health = health;
    this.#node = node;
    this.#process = this.#spawn();
  }

  /** Resolves at once; {@link untilReady} waits. */
  static async start(
    sites: CallSites,
    name: SiteName,
    overrides: Overrides = {},
    node: NodeOptions = {},
  ): Promise<CallControlProcess> {
    const health = `127.0.0.1:${await freePort()}`;
    const file = join(await mkdtemp(join(tmpdir(), 'lastcall-call-')), `${name}.yaml`);
    await writeFile(file, sites.yaml(name, { ...overrides, health: { callControl: health } }));
    return new CallControlProcess(file, health, node);
  }

  untilReady(): Promise<void> {
    return this.#process.untilReady(15_000);
  }

  get pid(): number {
    return this.#process.pid;
  }

  get running(): boolean {
    return this.#process.running();
  }

  async readiness(): Promise<{
    code: number;
    status: string;
    checks: Record<string, { state: string; reason?: string }>;
  }> {
    const response = await fetch(`http://${this.#health}/readyz`);
    return { code: response.status, ...((await response.json()) as { status: string; checks: never }) };
  }

  /** A metric's value, the sum over its labels' values that match. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const { text } = await this.get('/metrics');
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return text
      .split('\n')
      .filter((line) => line.startsWith(name) && /^[ {]/.test(line.slice(name.length)))
      .filter((line) => wanted.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  async get(path: string): Promise<{ code: number; text: string }> {
    const response = await fetch(`http://${this.#health}${path}`);
    return { code: response.status, text: await response.text() };
  }

  kill(): Promise<void> {
    return this.#process.kill();
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  /** After {@link kill} or {@link stop}, with the same configuration. */
  restart(): void {
    this.#process = this.#spawn();
  }

  #spawn(): ServerProcess {
    return startServerProcess({
      file: process.execPath,
      args: [
        ...(this.#node.nodeArguments ?? []),
        join(packageRoot(), 'dist/services/call-control/main.js'),
        ...['--config', this.#configFile],
      ],
      spawn: { env: { ...process.env, ...this.#node.environment } },
      stopSignal: 'SIGTERM',
      ready: async () => {
        const answer = await fetch(`http://${this.#health}/readyz`).catch(() => null);
        if (answer?.ok) return true;
        await delay(25);
        return false;
      },
    });
  }
}
