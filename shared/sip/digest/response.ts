import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { formatDigestFields, parseDigestFields } from '../syntax/digest-fields.ts';
import type { DigestAlgorithm } from './types.ts';

const HASHES: Readonly<Record<DigestAlgorithm, string>> = { MD5: 'md5', 'SHA-256': 'sha256' };

/** Lower-case hex digest of latin1 text. */
const digestOf = (algorithm: DigestAlgorithm, text: string): string =>
  hash(HASHES[algorithm], Buffer.from(text, 'latin1'), 'hex');

/** What is kept of a password: hash(username ":" realm ":" password). Texts are UTF-8 (RFC 7616 4). */
export const ha1Of = (
  algorithm: DigestAlgorithm,
  username: string,
  realm: string,
  password: string,
): string => hash(HASHES[algorithm], `${username}:${realm}:${password}`, 'hex');

/** The values that enter a digest response, as the header writes them. */
export interface ResponseInput {
  readonly algorithm: DigestAlgorithm;
  readonly ha1: string;
  readonly method: string;
  readonly uri: string;
  readonly nonce: string;
  /** Undefined without qop (RFC 2069). */
  readonly auth?: { readonly nc: string; readonly cnonce: string } | undefined;
}

/** RFC 7616 3.4.1 with qop=auth, or RFC 2069 without qop. */
export function digestResponse(input: ResponseInput): string {
  const { algorithm, auth, ha1, nonce } = input;
  const ha2 = digestOf(algorithm, `${input.method}:${input.uri}`);
  const middle = auth === undefined ? nonce : `${nonce}:${auth.nc}:${auth.cnonce}:auth`;
  return digestOf(algorithm, `${ha1}:${middle}:${ha2}`);
}

/** Equal text, in a time that does not tell how much of it agrees. */
export function equalSecret(a: string, b: string): boolean {
  const left = Buffer.from(a, 'latin1');
  const right = Buffer.from(b, 'latin1');
  return left.length === right.length && timingSafeEqual(left, right);
}

/** A client's part: what it knows and the challenge it got. */
export interface CredentialsInput {
  /** The value of WWW-Authenticate or Proxy-Authenticate. */
  readonly challenge: string;
  readonly username: string;
  readonly password: string;
  readonly method: string;
  readonly uri: string;
  /** How often this nonce was used, this time included; default 1. */
  readonly nonceCount?: number;
}

/** The value of Authorization or Proxy-Authorization; undefined for a challenge of another scheme or algorithm. */
export function digestCredentials(input: CredentialsInput): string | undefined {
  const challenge = parseDigestFields(input.challenge);
  const algorithm = parseAlgorithm(challenge?.get('algorithm'));
  if (challenge === undefined || algorithm === undefined) return undefined;
  const { username, method, uri } = input;
  const realm = challenge.get('realm') ?? '';
  const nonce = challenge.get('nonce') ?? '';
  const ha1 = ha1Of(algorithm, username, realm, input.password);
  const withQop = (challenge.get('qop') ?? '').split(',').some((each) => each.trim() === 'auth');
  const nc = (input.nonceCount ?? 1).toString(16).padStart(8, '0');
  const auth = withQop ? { nc, cnonce: randomBytes(8).toString('hex') } : undefined;
  const response = digestResponse({ algorithm, ha1, method, uri, nonce, auth });
  const fields: [string, string][] = [
    ['username', username],
    ['realm', realm],
    ['nonce', nonce],
    ['uri', uri],
    ['response', response],
    ['algorithm', algorithm],
  ];
  if (auth !== undefined) fields.push(['qop', 'auth'], ['nc', auth.nc], ['cnonce', auth.cnonce]);
  const opaque = challenge.get('opaque');
  if (opaque !== undefined) fields.push(['opaque', opaque]);
  return formatDigestFields(fields, ['qop']);
}

/** MD5 when absent (RFC 7616 3.3); undefined when unknown here. */
export function parseAlgorithm(text: string | undefined): DigestAlgorithm | undefined {
  const name = text?.toUpperCase() ?? 'MD5';
  return name === 'MD5' || name === 'SHA-256' ? name : undefined;
}
