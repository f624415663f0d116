import { randomBytes } from 'node:crypto';
import type { SigningKeySource } from '../domain/site-secret.ts';

/** Keys that only this process knows and that end with it. */
export function randomKeys(): SigningKeySource {
  const keys = { current: randomBytes(32), previous: null };
  return () => keys;
}
