import { networkInterfaces } from 'node:os';

const FRESH_MS = 10_000;

let known: ReadonlySet<string> = new Set();
let readAt = Number.NEGATIVE_INFINITY;

/** True for an address of one of this machine's interfaces, which a listener on every interface is reached at. */
export function isOwnInterface(address: string): boolean {
  const now = performance.now();
  if (now - readAt > FRESH_MS) {
    readAt = now;
    known = new Set(
      Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address: own }) => own)),
    );
  }
  return known.has(address) || isLoopback(address);
}

export const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';
