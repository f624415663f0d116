import { randomBytes } from 'node:crypto';
import { MAGIC_COOKIE } from '../syntax/via.ts';

const POOL_BYTES = 8192;
const IDENTIFIER_BYTES = 9;
let pool = '';
let used = 0;

/** 72 random bits as URI-safe text (RFC 3261 19.3 asks for 32), drawn from a pool: one system call for hundreds. */
function randomIdentifier(): string {
  const length = (IDENTIFIER_BYTES * 4) / 3;
  if (used + length > pool.length) {
    pool = randomBytes(POOL_BYTES - (POOL_BYTES % IDENTIFIER_BYTES)).toString('base64url');
    used = 0;
  }
  used += length;
  return pool.slice(used - length, used);
}

/** A From or To tag. */
export const newTag = (): string => randomIdentifier();

/** RFC 3261 8.1.1.7. `mark` tells the processes behind one address apart. */
export const newBranch = (mark = ''): string => `${MAGIC_COOKIE}${mark}${randomIdentifier()}`;
