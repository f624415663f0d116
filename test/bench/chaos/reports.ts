import { setTimeout as delay } from 'node:timers/promises';
import type { DemoTerminal } from '../../../services/lab/demo-terminals.ts';
import type { Endpoints } from '../../../services/lab/endpoints.ts';
import type { Call } from './freshest-model.ts';

const RETRY_MS = 250;
/** A PBX gives a report up after so long. */
const PATIENCE_MS = 15_000;
const ANSWER_MS = 4_000;
const ACCEPTED = [200, 202];
const BUSY = 486;

/**
 * A PBX that reports what its subscribers dial, at each site's api in turn, and again until 200 or 202 says that it is kept.
 * Every other report has a date of its own: that one goes to the next site when the first does not take it.
 */
export class Reports {
  readonly #endpoints: Endpoints;
  readonly #terminals: readonly DemoTerminal[];
  readonly #pauseMs: number;
  #stopping = new AbortController();
  #running: Promise<Call[]>[] = [];
  #count = 0;

  constructor(endpoints: Endpoints, terminals: readonly DemoTerminal[], pauseMs: number) {
    this.#endpoints = endpoints;
    this.#terminals = terminals;
    this.#pauseMs = pauseMs;
  }

  begin(sites: readonly string[]): void {
    this.#stopping = new AbortController();
    const { signal } = this.#stopping;
    this.#running = this.#terminals.map((terminal, index) => this.#report(terminal, sites, index, signal));
  }

  /** The reports since `begin`, each accepted or given up, as calls that reached what was dialed. */
  async end(): Promise<Call[]> {
    this.#stopping.abort();
    return (await Promise.all(this.#running.splice(0))).flat();
  }

  async #report(
    { number }: DemoTerminal,
    sites: readonly string[],
    first: number,
    signal: AbortSignal,
  ): Promise<Call[]> {
    const calls: Call[] = [];
    for (let turn = first; !signal.aborted; turn++) {
      const call = `report-${++this.#count}-${process.pid}`;
      calls.push(await this.#send(call, number, sites, turn));
      await delay(this.#pauseMs, undefined, { signal }).catch(() => {});
    }
    return calls;
  }

  async #send(callId: string, caller: string, sites: readonly string[], turn: number): Promise<Call> {
    const dialed = String(7_000_000 + this.#count);
    const dated = Math.floor(turn / sites.length) % 2 === 1;
    const beganMs = Date.now();
    const at = dated ? { at: new Date(beganMs).toISOString() } : {};
    const body = { callId, event: 'dialed', from: caller, to: dialed, ...at };
    let site = '';
    let accepted = false;
    for (let attempt = 0; !accepted && Date.now() < beganMs + PATIENCE_MS; attempt++) {
      if (attempt > 0) await delay(RETRY_MS);
      site = sites[(turn + (dated ? attempt : 0)) % sites.length] ?? '';
      accepted = ACCEPTED.includes(await this.#post(site, body));
    }
    const outcome = accepted ? { status: BUSY, reached: [dialed] } : { status: null, reached: [] };
    return { callId, site, caller, dialed, beganMs, endedMs: Date.now(), ...outcome };
  }

  /** The status; 0 when there is none. */
  async #post(site: string, body: object): Promise<number> {
    const { sites, adminToken } = this.#endpoints;
    return fetch(`${sites[site]?.api}/v1/calls`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS),
    }).then(
      async (response) => {
        await response.body?.cancel();
        return response.status;
      },
      () => 0,
    );
  }
}
