import type { SipUri, Uri } from './uri.ts';

/** RFC 3261 25.1 unreserved: an escape of one of these means the character itself (19.1.4). */
const UNRESERVED = /^[A-Za-z0-9\-_.!~*'()]$/;

/**
 * The same text for every spelling of one URI, to keep by: host and parameters without regard to case, parameters and headers
 * in order, escapes of unreserved characters resolved, the default port left away. Coarser than RFC 3261 19.1.4 there, which
 * tells `host` from `host:5060`; finer in that a parameter counts although the other URI lacks it.
 */
export function uriKey(uri: Uri): string {
  if (uri.kind === 'sip') return sipKey(uri);
  if (uri.kind === 'tel') return `tel:${uri.number.toLowerCase()}${parameterKey(uri.parameters)}`;
  return `${uri.scheme}:${uri.rest}`;
}

function sipKey(uri: SipUri): string {
  const user = uri.user === undefined ? '' : normalEscapes(uri.user);
  const password = uri.password === undefined ? '' : `:${normalEscapes(uri.password)}`;
  const at = uri.user === undefined ? '' : '@';
  const port = uri.port === undefined || uri.port === defaultPort(uri) ? '' : `:${uri.port}`;
  const host = uri.host.replace(/\.$/, '');
  return `${uri.scheme}:${user}${password}${at}${host}${port}${parameterKey(uri.parameters)}${headersKey(uri)}`;
}

/** RFC 3261 19.1.2: 5061 for sips and TLS. */
function defaultPort({ parameters, scheme }: SipUri): number {
  const transport = parameters.get('transport')?.toLowerCase();
  return scheme === 'sips' || transport === 'tls' || transport === 'wss' ? 5061 : 5060;
}

const parameterKey = (parameters: ReadonlyMap<string, string>): string =>
  [...parameters]
    .map(([name, value]) => `;${name}${value === '' ? '' : `=${normalEscapes(value).toLowerCase()}`}`)
    .toSorted()
    .join('');

const headersKey = ({ headers }: SipUri): string =>
  headers === undefined ? '' : `?${headers.toLowerCase().split('&').toSorted().join('&')}`;

/** `%61` is `a`; what must stay escaped is written in capitals. */
function normalEscapes(text: string): string {
  if (!text.includes('%')) return text;
  return text.replaceAll(/%[0-9A-Fa-f]{2}/g, (escaped) => {
    const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    return UNRESERVED.test(character) ? character : escaped.toUpperCase();
  });
}
