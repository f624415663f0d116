import { type Uri, userOf } from '../../shared/sip/syntax/uri.ts';

const ESCAPED = /[^A-Za-z0-9\-_.!~*'()&=+$,;?/]/gu;

/** A number or name as the user part of a SIP URI: what RFC 3261 25.1 does not allow there is escaped, in UTF-8. */
export function escapedUser(text: string): string {
  return text.replace(ESCAPED, (character) =>
    Buffer.from(character, 'utf8').toString('hex').toUpperCase().replace(/../g, '%$&'),
  );
}

/** The digits or name that a URI is dialed by, without the parameters of a telephone-subscriber (RFC 3261 19.1.6). */
export function dialedUser(uri: Uri | undefined): string | undefined {
  const user = userOf(uri);
  if (user === undefined) return undefined;
  const semicolon = user.indexOf(';');
  return semicolon > 0 ? user.slice(0, semicolon) : user;
}

/** What is kept of text that came from the network: bounded, so that a row stays small. */
export const bounded = (text: string, longest = 255): string => text.slice(0, longest);
