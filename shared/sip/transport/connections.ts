import { randomBytes } from 'node:crypto';
import type { Flow } from './flow.ts';

/** A connection as the table looks after it. */
export interface Connection extends Flow {
  /** `performance.now()` of the last byte received. */
  readonly activeAt: number;
  /** Since when part of a message waits for the rest. */
  readonly partialSince: number | undefined;
  /** Since when a peer that connected has sent no whole message; undefined once it has, and where this server connected. */
  readonly silentSince: number | undefined;
  /** Nudges a quiet peer, where the transport has a way to. */
  probe(): void;
  destroy(): void;
}

export interface ConnectionLimits {
  readonly idleMs: number;
  /** The first message must be there this long after the connection. */
  readonly silentMs: number;
  /** A message must be complete this long after its first byte. */
  readonly partialMs: number;
  readonly probeMs: number;
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  idleMs: 900_000,
  silentMs: 10_000,
  partialMs: 10_000,
  probeMs: 30_000,
};

const SWEEP_MS = 2_000;

/** 72 random bits: a token cannot be guessed, and none is valid in another process. */
export const newToken = (): string => `c${randomBytes(9).toString('base64url')}`;

/** The open connections of one listener, by token and by remote address. */
export class ConnectionTable<C extends Connection> {
  readonly #byToken = new Map<string, C>();
  readonly #byRemote = new Map<string, C>();
  readonly #limits: ConnectionLimits;
  #sweep: NodeJS.Timeout | undefined;

  constructor(limits: ConnectionLimits = DEFAULT_CONNECTION_LIMITS) {
    this.#limits = limits;
  }

  start(): void {
    this.#sweep = setInterval(() => this.sweep(performance.now()), SWEEP_MS);
    this.#sweep.unref();
  }

  stop(): void {
    clearInterval(this.#sweep);
    for (const connection of this.#byToken.values()) connection.destroy();
    this.#byToken.clear();
    this.#byRemote.clear();
  }

  add(connection: C): void {
    this.#byToken.set(connection.token, connection);
    this.#byRemote.set(`${connection.remoteAddress}|${connection.remotePort}`, connection);
  }

  remove(connection: C): void {
    this.#byToken.delete(connection.token);
    const remote = `${connection.remoteAddress}|${connection.remotePort}`;
    if (this.#byRemote.get(remote) === connection) this.#byRemote.delete(remote);
  }

  byToken(token: string): C | undefined {
    return this.#byToken.get(token);
  }

  byRemote(address: string, port: number): C | undefined {
    return this.#byRemote.get(`${address}|${port}`);
  }

  /** Closes what is idle, silent from the start or stuck in the middle of a message; probes what is quiet. */
  sweep(now: number): void {
    const { idleMs, partialMs, probeMs, silentMs } = this.#limits;
    for (const connection of this.#byToken.values()) {
      const quietMs = now - connection.activeAt;
      const stuck =
        now - (connection.partialSince ?? now) > partialMs ||
        now - (connection.silentSince ?? now) > silentMs;
      if (stuck || quietMs > idleMs) connection.destroy();
      else if (quietMs > probeMs) connection.probe();
    }
  }
}
