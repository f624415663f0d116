import { createHmac, randomBytes } from 'node:crypto';
import { acceptedKeys, type SigningKeySource } from '../../domain/site-secret.ts';
import { equalSecret } from './response.ts';

/** 96 bits. */
const MAC_CHARACTERS = 16;

/**
 * Nonces that prove their own origin and age, so that none is stored before it is used. Each is for the source it was sent
 * to: whoever answers with it does receive there, so nobody can fail in the name of another address.
 */
export class NonceSource {
  readonly #keys: SigningKeySource;
  readonly #realm: string;

  /** `realm` may hold more than the realm: a nonce is good for those who give the same. */
  constructor(keys: SigningKeySource, realm: string) {
    this.#keys = keys;
    this.#realm = realm;
  }

  /** `<issued>.<random>.<mac>`, 33 characters, short enough for an answer of twice the request; `issuedMs` since 1970. */
  issue(issuedMs: number, source: string): string {
    const body = `${Math.floor(issuedMs).toString(36)}.${randomBytes(5).toString('base64url')}`;
    return `${body}.${this.#mac(body, source, this.#keys().current)}`;
  }

  /** When a nonce of ours for this source was issued; undefined for any other text. */
  issuedAt(nonce: string, source: string): number | undefined {
    const end = nonce.lastIndexOf('.');
    if (end <= 0 || nonce.length > 80) return undefined;
    const body = nonce.slice(0, end);
    const given = nonce.slice(end + 1);
    if (!acceptedKeys(this.#keys()).some((key) => equalSecret(given, this.#mac(body, source, key))))
      return undefined;
    return Number.parseInt(body.slice(0, body.indexOf('.')), 36);
  }

  #mac(body: string, source: string, key: Uint8Array): string {
    const bound = `${this.#realm}|${source}|${body}`;
    return createHmac('sha256', key).update(bound).digest('base64url').slice(0, MAC_CHARACTERS);
  }
}
