import { isBelow, raisedFloor, type ServerIdentity } from '../../shared/domain/server-identity.ts';
import { hostUrls } from '../../shared/postgres/find-primary.ts';
import { HostWatch } from '../../shared/postgres/host-watch.ts';
import {
  type ConnectOptions,
  connectToPrimary,
  type Floor,
} from '../../shared/postgres/replication/primary.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';

const WATCH_MS = 1_000;
/** Of one host; the others are not kept by it. */
const ANSWER_MS = 5_000;

/**
 * One site's hosts as this process sees them (rule 28): all are asked each second who they are, and whoever is connected
 * hears at once when a server was promoted past its own, though that one still answers or was frozen and wakes.
 */
export class SitePrimary implements Floor {
  readonly url: string;
  readonly #watches: readonly HostWatch[];
  readonly #listeners = new Set<() => void>();
  #newest: ServerIdentity | null = null;

  constructor(url: string) {
    this.url = url;
    const urls = hostUrls(url);
    // A single host has nobody to be promoted past it.
    this.#watches = urls.length === 1 ? [] : urls.map((host) => this.#watchOf(host));
  }

  start(): void {
    for (const watch of this.#watches) watch.start();
  }

  stop(): void {
    for (const watch of this.#watches) watch.stop();
  }

  /** Rejects at once when the signal ends: a host that accepts and says nothing would hold it for seconds. */
  async connect(options: Omit<ConnectOptions, 'floor'>, signal?: AbortSignal): Promise<Connection> {
    signal?.throwIfAborted();
    const opening = connectToPrimary(this.url, { ...options, floor: this });
    if (!signal) return opening;
    let giveUp = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      giveUp = () => reject(signal.reason as Error);
      signal.addEventListener('abort', giveUp, { once: true });
    });
    opening.then((late) => signal.aborted && late.destroy()).catch(() => undefined);
    return Promise.race([opening, aborted]).finally(() => signal.removeEventListener('abort', giveUp));
  }

  current(): ServerIdentity | null {
    return this.#newest;
  }

  raise(seen: ServerIdentity): void {
    const before = this.#newest;
    this.#newest = raisedFloor(before, seen);
    if (before !== null && isBelow(before, this.#newest))
      for (const listener of [...this.#listeners]) listener();
  }

  /** What others remember of it. Of another cluster they may remember something older than what was seen. */
  learn(remembered: ServerIdentity | null): void {
    if (remembered !== null && (this.#newest === null || isBelow(this.#newest, remembered)))
      this.raise(remembered);
  }

  /** Calls back at each promotion, until the returned function is called. */
  onPromotion(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #watchOf(host: string): HostWatch {
    return new HostWatch({
      urls: [host],
      everyMs: WATCH_MS,
      timeoutMs: ANSWER_MS,
      onRound: ([sighting]) => sighting?.identity && this.raise(sighting.identity),
    });
  }
}
