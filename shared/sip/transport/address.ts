import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** `::ffff:192.0.2.1`, as dual-stack sockets report IPv4 peers, becomes `192.0.2.1`. */
export const plainAddress = (address: string): string =>
  address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;

/** As a URI or Via writes it: IPv6 in brackets. */
export const hostText = (host: string): string =>
  host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;

/** Without the brackets of IPv6. */
export const bareHost = (host: string): string =>
  host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;

export const hostPortText = (host: string, port: number): string => `${hostText(host)}:${port}`;

export const familyOf = (address: string): 4 | 6 => (isIP(address) === 6 ? 6 : 4);

/** The address others can reach a wildcard listener at: the first that is not loopback, else loopback. */
export function reachableAddress(boundHost: string): string {
  if (boundHost !== '0.0.0.0' && boundHost !== '::') return boundHost;
  const family = boundHost === '::' ? 'IPv6' : 'IPv4';
  for (const addresses of Object.values(networkInterfaces())) {
    for (const each of addresses ?? []) if (!each.internal && each.family === family) return each.address;
  }
  return family === 'IPv6' ? '::1' : '127.0.0.1';
}
