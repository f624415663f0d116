import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DemoTerminal } from '../../../services/lab/demo-terminals.ts';
import { DOMAIN } from '../../../services/lab/plan.ts';
import { freePort } from '../../../shared/servers/free-port.ts';
import { waitFor } from '../../support/wait-for.ts';
import { callsOf } from './call-logs.ts';
import type { Call } from './freshest-model.ts';
import { householdCalls } from './households.ts';
import { SippProcess } from './sipp-process.ts';

export interface TownPhonesOptions {
  readonly terminals: readonly DemoTerminal[];
  readonly callsPerSecond: number;
  /** `127.0.0.1:port` of each site's SIP. */
  readonly servers: ReadonlyMap<string, string>;
  /** For SIPp's lists and logs. */
  readonly folder: string;
}

/** A late repetition ends no call. */
const IGNORE_THE_UNEXPECTED = ['-default_behaviors', 'none'];
/** SIPp would write the address that it was started for, whatever server the call goes to. */
const DIGEST_URI = ['-auth_uri', DOMAIN];
const REGISTRATIONS_PER_SECOND = 200;

/** The phones of all households, all of them SIPp: one process answers for all, another one dials for all. */
export class TownPhones {
  readonly #options: TownPhonesOptions;
  readonly #port: number;
  #answering: SippProcess | null = null;
  #dialing: { readonly sipp: SippProcess; readonly log: string } | null = null;
  #runs = 0;

  private constructor(options: TownPhonesOptions, port: number) {
    this.#options = options;
    this.#port = port;
  }

  /** Phones that answer busy, registered at every site. */
  static async start(options: TownPhonesOptions): Promise<TownPhones> {
    await mkdir(options.folder, { recursive: true });
    const phones = new TownPhones(options, await freePort());
    await writeFile(phones.#file('phones.csv'), listOf(options.terminals.map(credentialsOf)));
    for (const target of options.servers.values()) await phones.#register(target);
    phones.#answer();
    return phones;
  }

  get terminals(): readonly DemoTerminal[] {
    return this.#options.terminals;
  }

  /** Begins to call at a steady rate through these sites in turn, each time with other pairs, so that those of the last time wait a while. */
  async call(sites: readonly string[]): Promise<void> {
    const run = ++this.#runs;
    const { callsPerSecond, servers } = this.#options;
    const [list, log] = [this.#file(`calls-${run}.csv`), this.#file(`dialed-${run}.log`)];
    const portOf = (site: string): string => (servers.get(site) ?? '').split(':')[1] ?? '';
    const calls = householdCalls(this.terminals, sites, 2 * run);
    await writeFile(
      list,
      listOf(calls.map(({ caller, dialed, site }) => [...credentialsOf(caller), dialed, site, portOf(site)])),
    );
    const sipp = new SippProcess({
      scenario: 'dial-list',
      errorFile: this.#file(`dialing-errors-${run}.log`),
      port: await freePort(),
      target: servers.get(sites[0] ?? '') ?? '',
      args: [
        ...['-inf', list, '-r', String(callsPerSecond), '-l', '10000', '-cid_str', `%u-%p-${run}@%s`],
        ...['-trace_logs', '-log_file', log, ...DIGEST_URI, ...IGNORE_THE_UNEXPECTED],
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
    return callsOf(
      await readFile(dialing.log, 'utf8'),
      await readFile(this.#file('reached.log'), 'utf8').catch(() => ''),
    );
  }

  async stop(): Promise<void> {
    await Promise.all([this.#dialing?.sipp.kill(), this.#answering?.kill()]);
  }

  /** All of them, again until no server says that it cannot yet. They are where they registered from (G2): the port that answers then. */
  async #register(target: string): Promise<void> {
    const args = [
      ...['-inf', this.#file('phones.csv'), '-key', 'contact', `127.0.0.1:${this.#port}`],
      ...['-m', String(this.terminals.length), '-r', String(REGISTRATIONS_PER_SECOND)],
      ...['-recv_timeout', '20000'],
    ];
    await waitFor(
      async () => {
        const [port, errorFile] = [this.#port, this.#file('register-errors.log')];
        await new SippProcess({ scenario: 'register-list', errorFile, port, target, args }).finished();
        return true;
      },
      { what: `the phones to register at ${target}`, deadlineMs: 60_000, everyMs: 500 },
    );
  }

  #answer(): void {
    this.#answering = new SippProcess({
      scenario: 'answer-busy',
      errorFile: this.#file('answering-errors.log'),
      port: this.#port,
      args: ['-trace_logs', '-log_file', this.#file('reached.log'), ...IGNORE_THE_UNEXPECTED],
    });
  }

  #file(name: string): string {
    return join(this.#options.folder, name);
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
