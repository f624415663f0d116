import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../shared/runtime/package-root.ts';

export interface SippProcessOptions {
  /** A scenario of sip-scenarios/. */
  readonly scenario: string;
  /** For what it has to say of calls that go wrong. */
  readonly errorFile: string;
  /** The port that it sends and receives on. */
  readonly port: number;
  /** `host:port` that requests go to; absent for phones that are called. */
  readonly target?: string;
  readonly args?: readonly string[];
}

/** SIPp's own words: every call went as the scenario says, some did not, there were none. */
const ORDERLY = [0, 1, 99];
/** A call is given up after 8 s without a word, which there may be two or three of. */
const LAST_CALLS_MS = 40_000;

/** One SIPp that runs until it is told to end. */
export class SippProcess {
  readonly #scenario: string;
  readonly #errorFile: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | string>;
  #said = '';

  constructor({ scenario, errorFile, port, target, args = [] }: SippProcessOptions) {
    this.#scenario = scenario;
    this.#errorFile = errorFile;
    const file = join(packageRoot(), 'sip-scenarios', `${scenario}.xml`);
    const own = [...(target === undefined ? [] : [target]), '-sf', file, '-i', '127.0.0.1', '-nostdin'];
    const told = ['-trace_err', '-error_file', errorFile];
    this.#child = spawn('sipp', [...own, ...told, '-p', String(port), ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, TERM: 'dumb' },
    });
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#said += text.toString('latin1');
    });
    const kill = () => this.#child.kill('SIGKILL');
    process.once('exit', kill);
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('close', (code, signal) => {
        process.off('exit', kill);
        resolve(signal ?? code ?? 'no exit status');
      });
    });
  }

  /** Resolves when it has done all that its arguments say. Rejects unless every call went as the scenario says. */
  async finished(): Promise<void> {
    const how = await this.#ended;
    if (how !== 0) throw this.#failure(how);
  }

  /** Throws, with what it said, when it ended by itself. */
  async check(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null)
      throw this.#failure(`by itself, ${await this.#ended}`);
  }

  /** No more calls; resolves when the last one is over. Rejects when it ended by itself before, or not in order. */
  async end(): Promise<void> {
    await this.check();
    this.#child.kill('SIGUSR1');
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), LAST_CALLS_MS);
    const how = await this.#ended;
    clearTimeout(deadline);
    if (typeof how === 'string' || !ORDERLY.includes(how)) throw this.#failure(how);
  }

  /** At once, whatever it does. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #failure(how: number | string): Error {
    const errors = existsSync(this.#errorFile) ? readFileSync(this.#errorFile, 'latin1') : '';
    return new Error(`sipp ${this.#scenario} ended: ${how}\n${this.#said}\n${errors.slice(0, 4_000)}`);
  }
}
