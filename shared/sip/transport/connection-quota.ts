import type { Socket } from 'node:net';
import { plainAddress } from './address.ts';

export interface ConnectionQuotaOptions {
  /** Accepted connections of one address, over all listeners. Default 100. */
  readonly maxPerSource?: number;
  /** Of all addresses together, those without a limit left out. Default 20,000. */
  readonly max?: number;
  /** Addresses without a limit, e.g. of proxies that carry many phones. */
  readonly isExempt?: (address: string) => boolean;
}

/** Counts accepted connections from their first packet, before any TLS or WebSocket handshake, and refuses what is too many. */
export class ConnectionQuota {
  readonly #options: Required<ConnectionQuotaOptions>;
  readonly #bySource = new Map<string, number>();
  #total = 0;
  #refused = 0;

  constructor({ isExempt, max, maxPerSource }: ConnectionQuotaOptions = {}) {
    this.#options = {
      maxPerSource: maxPerSource ?? 100,
      max: max ?? 20_000,
      isExempt: isExempt ?? (() => false),
    };
  }

  /** Counted connections that are open, and refusals since the start. */
  get connections(): { readonly open: number; readonly refused: number } {
    return { open: this.#total, refused: this.#refused };
  }

  /** Takes the connection in until it closes, or destroys it. */
  admit(socket: Socket): void {
    const address = socket.remoteAddress === undefined ? undefined : plainAddress(socket.remoteAddress);
    if (address === undefined) socket.destroy();
    else if (this.#options.isExempt(address)) return;
    else if (this.#total >= this.#options.max || this.#of(address) >= this.#options.maxPerSource) {
      this.#refused++;
      socket.destroy();
    } else this.#enter(address, socket);
  }

  #of(address: string): number {
    return this.#bySource.get(address) ?? 0;
  }

  #enter(address: string, socket: Socket): void {
    this.#total++;
    this.#bySource.set(address, this.#of(address) + 1);
    socket.once('close', () => {
      this.#total--;
      const left = this.#of(address) - 1;
      if (left > 0) this.#bySource.set(address, left);
      else this.#bySource.delete(address);
    });
  }
}
