import { randomBytes } from 'node:crypto';
import type { Flow } from './flow.ts';

/** A connection as the table looks after it. */
export interface Connection extends Flow {
  /** `performance.now()` of the last byte received. */
  readonly activeAt: number;
  /** Since when part of a message waits for the rest. */
  readonly partialSince: number | undefined;
  /** Nudges a quiet peer, where the transport has a way to. */
  probe(): void;
  destroy(): void;
}

export interface ConnectionLimits {
  readonly idleMs: number;
  /** A message must be complete this long after its first byte. */
  readonly partialMs: number;
  readonly probeMs: number;
  readonly maxConnections: number;
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  idleMs: 900_000,
  partialMs: 10_000,
  probeMs: 30_000,
  maxConnections: 20_000,
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

  get full(): boolean {
    return this.#byToken.size >= this.#limits.maxConnections;
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

  /** Closes what is idle or stuck in the middle of a message, probes what is quiet. */
  sweep(now: number): void {
    const { idleMs, partialMs, probeMs } = this.#limits;
    for (const connection of this.#byToken.values()) {
      const quietMs = now - connection.activeAt;
      const stuck = connection.partialSince !== undefined && now - connection.partialSince > partialMs;
      if (stuck || quietMs > idleMs) connection.destroy();
      else if (quietMs > probeMs) connection.probe();
    }
  }
}
