import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DemoTerminal } from '../../../services/lab/demo-terminals.ts';
import { freePort } from '../../../shared/servers/free-port.ts';
import { waitFor } from '../../support/wait-for.ts';
import { callsOf } from './call-logs.ts';
import type { Call } from './freshest-model.ts';
import { householdCalls } from './households.ts';
import { SippProcess } from './sipp-process.ts';

export interface SitePhonesOptions {
  readonly site: string;
  readonly terminals: readonly DemoTerminal[];
  readonly callsPerSecond: number;
  /** For SIPp's lists and logs. */
  readonly folder: string;
}

/** A late repetition ends no call. */
const IGNORE_THE_UNEXPECTED = ['-default_behaviors', 'none'];

/** The phones of one site's households, all of them SIPp: one process answers for all, another one dials for all. */
export class SitePhones {
  readonly #options: SitePhonesOptions;
  readonly #port: number;
  #answering: SippProcess | null = null;
  #registrations = 0;
  #dialing: { readonly sipp: SippProcess; readonly log: string } | null = null;
  #runs = 0;

  private constructor(options: SitePhonesOptions, port: number) {
    this.#options = options;
    this.#port = port;
  }

  /** Phones that answer busy, not registered yet. */
  static async start(options: SitePhonesOptions): Promise<SitePhones> {
    await mkdir(options.folder, { recursive: true });
    const phones = new SitePhones(options, await freePort());
    await writeFile(phones.#file('phones.csv'), listOf(options.terminals.map(credentialsOf)));
    return phones;
  }

  get terminals(): readonly DemoTerminal[] {
    return this.#options.terminals;
  }

  /**
   * All of them register at a site's SIP address, and again until no server says that it cannot yet. They are where they
   * registered from (G2), so the one port registers first and answers then; no call may be under way.
   */
  async register(target: string): Promise<void> {
    await this.#answering?.kill();
    const args = [
      ...['-inf', this.#file('phones.csv'), '-key', 'contact', `127.0.0.1:${this.#port}`],
      ...['-m', String(this.terminals.length), '-r', '100', '-recv_timeout', '20000'],
    ];
    await waitFor(
      async () => {
        const [port, errorFile] = [this.#port, this.#file('register-errors.log')];
        await new SippProcess({ scenario: 'register-list', errorFile, port, target, args }).finished();
        return true;
      },
      { what: `the phones of ${this.#options.site} to register`, deadlineMs: 30_000, everyMs: 500 },
    );
    this.#registrations++;
    this.#answering = new SippProcess({
      scenario: 'answer-busy',
      errorFile: this.#file('answering-errors.log'),
      port: this.#port,
      args: [
        ...['-trace_logs', '-log_file', this.#reachedLog(this.#registrations)],
        ...IGNORE_THE_UNEXPECTED,
      ],
    });
  }

  /** Begins to call at a steady rate, each time with other pairs, so that those of the last time wait a while. */
  async call(target: string): Promise<void> {
    const run = ++this.#runs;
    const [list, log] = [this.#file(`calls-${run}.csv`), this.#file(`dialed-${run}.log`)];
    const calls = householdCalls(this.terminals, 2 * run);
    await writeFile(list, listOf(calls.map(({ caller, dialed }) => [...credentialsOf(caller), dialed])));
    const { callsPerSecond, site } = this.#options;
    const sipp = new SippProcess({
      scenario: 'dial-list',
      errorFile: this.#file(`dialing-errors-${run}.log`),
      port: await freePort(),
      target,
      args: [
        ...['-inf', list, '-r', String(callsPerSecond), '-l', '10000', '-cid_str', `%u-%p-${site}${run}@%s`],
        ...['-trace_logs', '-log_file', log, ...IGNORE_THE_UNEXPECTED],
      ],
    });
    this.#dialing = { sipp, log };
  }

  /** No more calls; resolves with those since `call`, each of them over. */
  async rest(): Promise<Call[]> {
    const dialing = this.#dialing;
    if (dialing === null) return [];
    this.#dialing = null;
    await dialing.sipp.end();
    await this.#answering?.check();
    const logs = Array.from({ length: this.#registrations }, (_, index) => this.#reachedLog(index + 1));
    const reached = await Promise.all(logs.map((log) => readFile(log, 'utf8').catch(() => '')));
    return callsOf(await readFile(dialing.log, 'utf8'), reached.join(''));
  }

  async stop(): Promise<void> {
    await Promise.all([this.#dialing?.sipp.kill(), this.#answering?.kill()]);
  }

  #reachedLog(registration: number): string {
    return this.#file(`reached-${registration}.log`);
  }

  #file(name: string): string {
    return join(this.#options.folder, `${this.#options.site}-${name}`);
  }
}

/** SIPp answers a challenge with a user's password only where the list holds the whole keyword. */
const credentialsOf = ({ username, password }: DemoTerminal): string[] => [
  username,
  `[authentication username=${username} password=${password}]`,
];

/** SIPp's list of fields, taken line by line and begun again at the end. */
function listOf(lines: readonly (readonly string[])[]): string {
  return ['SEQUENTIAL', ...lines.map((fields) => fields.map((field) => `${field};`).join(''))]
    .map((line) => `${line}\n`)
    .join('');
}
