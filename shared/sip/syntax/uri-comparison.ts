import { unescaped } from './lexical.ts';
import type { SipUri, Uri } from './uri.ts';

/** Parameters that must stand in both URIs or in neither (RFC 3261 19.1.4). */
const DECISIVE = ['user', 'ttl', 'method', 'maddr', 'transport'];

/** RFC 3261 19.1.4 for SIP and SIPS, RFC 3966 4 for tel numbers; other schemes compare as text. */
export function sameUri(a: Uri, b: Uri): boolean {
  if (a.kind === 'sip') return b.kind === 'sip' && sameSipUri(a, b);
  if (a.kind === 'tel') return b.kind === 'tel' && a.number.toLowerCase() === b.number.toLowerCase();
  return b.kind === 'other' && a.scheme === b.scheme && a.rest === b.rest;
}

function sameSipUri(a: SipUri, b: SipUri): boolean {
  if (a.scheme !== b.scheme || a.host !== b.host || a.port !== b.port) return false;
  if (!sameEscaped(a.user, b.user) || !sameEscaped(a.password, b.password)) return false;
  return sameParameters(a, b) && sameHeaders(a.headers, b.headers);
}

function sameEscaped(a: string | undefined, b: string | undefined): boolean {
  if (a === b) return true;
  return a !== undefined && b !== undefined && unescaped(a) === unescaped(b);
}

function sameParameters(a: SipUri, b: SipUri): boolean {
  for (const name of DECISIVE) {
    if (a.parameters.get(name)?.toLowerCase() !== b.parameters.get(name)?.toLowerCase()) return false;
  }
  for (const [name, value] of a.parameters) {
    const other = b.parameters.get(name);
    if (other !== undefined && other.toLowerCase() !== value.toLowerCase()) return false;
  }
  return true;
}

/** Headers are never ignored, but their order is. */
function sameHeaders(a: string | undefined, b: string | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  const sorted = (headers: string): string => headers.toLowerCase().split('&').sort().join('&');
  return sorted(a) === sorted(b);
}
