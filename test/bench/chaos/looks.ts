import { setTimeout as delay } from 'node:timers/promises';
import type { DemoTerminal } from '../../../services/lab/demo-terminals.ts';
import type { Endpoints } from '../../../services/lab/endpoints.ts';
import type { Group, Look } from './freshest-model.ts';

const ANSWER_MS = 4_000;
/**
 * What one process of a site has recorded, another one may find a while later: it travels by way of the table, and by Redis
 * once the table has not answered for its time.
 */
const TOLD_MS = 3_000;
const CODES: Readonly<Record<Group, string>> = { dialed: '*52', missed: '*69' };

/** Somebody asks every site's api, all the time, whom `*52` and `*69` would call. What was not answered is not counted. */
export class Looks {
  readonly #endpoints: Endpoints;
  readonly #terminals: readonly DemoTerminal[];
  readonly #pauseMs: number;
  #stopping = new AbortController();
  #running: Promise<Look[]>[] = [];

  constructor(endpoints: Endpoints, terminals: readonly DemoTerminal[], pauseMs: number) {
    this.#endpoints = endpoints;
    this.#terminals = terminals;
    this.#pauseMs = pauseMs;
  }

  begin(): void {
    this.#stopping = new AbortController();
    const { signal } = this.#stopping;
    this.#running = Object.keys(this.#endpoints.sites).map((site) => this.#lookAt(site, signal));
  }

  /** All since `begin`, each over; their intervals begin as early as what they must have heard of ends. */
  async end(): Promise<Look[]> {
    this.#stopping.abort();
    return (await Promise.all(this.#running.splice(0))).flat();
  }

  async #lookAt(site: string, signal: AbortSignal): Promise<Look[]> {
    const looks: Look[] = [];
    while (!signal.aborted) {
      const terminal = this.#terminals[Math.floor(Math.random() * this.#terminals.length)];
      const group = Math.random() < 0.5 ? 'dialed' : 'missed';
      const beganMs = Date.now() - TOLD_MS;
      const found = await this.#ask(site, terminal?.number ?? '', group);
      if (found !== undefined)
        looks.push({ site, subscriber: terminal?.number ?? '', group, beganMs, endedMs: Date.now(), found });
      await delay(this.#pauseMs, undefined, { signal }).catch(() => {});
    }
    return looks;
  }

  async #ask(site: string, number: string, group: Group): Promise<string | null | undefined> {
    const { sites, adminToken } = this.#endpoints;
    const url = new URL('/v1/target', sites[site]?.api);
    url.search = String(new URLSearchParams({ terminal: number, code: CODES[group] }));
    try {
      const response = await fetch(url, {
        headers: { authorization: `Bearer ${adminToken}` },
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      const answer = (await response.json()) as { number?: string; code?: string };
      if (response.ok) return answer.number;
      return answer.code === 'NO_DATA' ? null : undefined;
    } catch {
      return undefined;
    }
  }
}
