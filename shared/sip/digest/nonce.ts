import { createHmac, randomBytes } from 'node:crypto';
import { acceptedKeys, type SigningKeySource } from '../../domain/site-secret.ts';
import { equalSecret } from './response.ts';

/** Nonces that prove their own origin and age, so that none is stored before it is used. */
export class NonceSource {
  readonly #keys: SigningKeySource;
  readonly #realm: string;

  constructor(keys: SigningKeySource, realm: string) {
    this.#keys = keys;
    this.#realm = realm;
  }

  /** `<issued>.<random>.<mac>`; `issuedMs` since 1970. */
  issue(issuedMs: number): string {
    const body = `${Math.floor(issuedMs).toString(36)}.${randomBytes(6).toString('base64url')}`;
    return `${body}.${this.#mac(body, this.#keys().current)}`;
  }

  /** When a nonce of ours was issued; undefined for any other text. */
  issuedAt(nonce: string): number | undefined {
    const end = nonce.lastIndexOf('.');
    if (end <= 0 || nonce.length > 80) return undefined;
    const body = nonce.slice(0, end);
    const given = nonce.slice(end + 1);
    if (!acceptedKeys(this.#keys()).some((key) => equalSecret(given, this.#mac(body, key)))) return undefined;
    return Number.parseInt(body.slice(0, body.indexOf('.')), 36);
  }

  #mac(body: string, key: Uint8Array): string {
    return createHmac('sha256', key).update(`${this.#realm}|${body}`).digest('base64url').slice(0, 22);
  }
}
