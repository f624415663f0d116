import { isBelow, raisedFloor, type ServerIdentity } from '../../shared/domain/server-identity.ts';
import { hostUrls } from '../../shared/postgres/find-primary.ts';
import { HostWatch } from '../../shared/postgres/host-watch.ts';
import { connectPatiently, Patience } from '../../shared/postgres/replication/patient-connect.ts';
import {
  type ConnectOptions,
  connectToPrimary,
  type Floor,
} from '../../shared/postgres/replication/primary.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import { connectionTarget } from '../../shared/postgres/wire/connection-target.ts';

const WATCH_MS = 1_000;
/** Of one host; the others are not kept by it. */
const ANSWER_MS = 5_000;

/**
 * One site's hosts as this process sees them (rule 28): all are asked each second who they are, and whoever is connected
 * hears at once when a server was promoted past its own, though that one still answers or was frozen and wakes.
 */
export class SitePrimary implements Floor {
  readonly url: string;
  readonly patience: Patience;
  readonly #watches: readonly HostWatch[];
  readonly #listeners = new Set<() => void>();
  #newest: ServerIdentity | null = null;

  constructor(url: string) {
    this.url = url;
    this.patience = new Patience(connectionTarget(url).connectTimeoutMs);
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

  /** However slow the link is. Rejects at once when the signal ends, or when a server says more than nothing. */
  async connect(
    options: Omit<ConnectOptions, 'floor' | 'connectTimeoutMs'>,
    signal?: AbortSignal,
  ): Promise<Connection> {
    return connectPatiently(
      (connectTimeoutMs) => connectToPrimary(this.url, { ...options, connectTimeoutMs, floor: this }),
      this.patience,
      signal,
    );
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
