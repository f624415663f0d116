import { unescaped } from '../../shared/sip/syntax/lexical.ts';
import type { SipUri } from '../../shared/sip/syntax/uri.ts';

/** The URI without its headers, which would get into the Request-URI of every call to it (RFC 3261 19.1.5). */
export function withoutHeaders(uriText: string, { headers }: Pick<SipUri, 'headers'>): string {
  return headers === undefined ? uriText : uriText.slice(0, -headers.length - 1);
}

const DEFAULT_PORT = { sip: 5060, sips: 5061 } as const;

/**
 * The same for every spelling of one contact: escapes, case of host and parameters, order of parameters, default port
 * (RFC 3261 19.1.4). Its headers are not part of it.
 */
export function contactKey({ host, parameters, password, port, scheme, user }: SipUri): string {
  const plain = [...parameters]
    .map(([name, value]) => `;${name}=${(unescaped(value) ?? value).toLowerCase()}`)
    .sort();
  const userInfo = [user, password].map((text) => (text === undefined ? '' : (unescaped(text) ?? text)));
  return `${scheme}:${userInfo.join('\0')}@${host}:${port ?? DEFAULT_PORT[scheme]}${plain.join('')}`;
}
