/** SCRAM-SHA-256 (RFC 5802, RFC 7677), the client's half, as PostgreSQL uses it: the user name in the exchange is empty. */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { ProtocolRefused } from './server-error.ts';

const deriveKey = promisify(pbkdf2);
const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** A server may ask for any count; above this it only burns this process's time. */
const MAX_ITERATIONS = 1_000_000;

export interface ScramExchange {
  /** client-first-message. */
  readonly first: string;
  /** Answers server-first with client-final. Throws `ProtocolRefused` on a malformed or foreign challenge. */
  answer(serverFirst: string): Promise<string>;
  /** Throws `ProtocolRefused` unless the server proved that it knows the password as well. */
  verify(serverFinal: string): void;
}

export function startScram(password: string): ScramExchange {
  const clientNonce = randomBytes(18).toString('base64');
  const firstBare = `n=,r=${clientNonce}`;
  let serverSignature: Buffer | null = null;
  return {
    first: `n,,${firstBare}`,
    async answer(serverFirst) {
      const { nonce, salt, iterations } = parseServerFirst(serverFirst, clientNonce);
      const salted = await deriveKey(saslPrep(password), salt, iterations, 32, 'sha256');
      const clientKey = hmac(salted, 'Client Key');
      const storedKey = createHash('sha256').update(clientKey).digest();
      const withoutProof = `c=biws,r=${nonce}`;
      const authMessage = `${firstBare},${serverFirst},${withoutProof}`;
      const signature = hmac(storedKey, authMessage);
      serverSignature = hmac(hmac(salted, 'Server Key'), authMessage);
      const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] ?? 0)));
      return `${withoutProof},p=${proof.toString('base64')}`;
    },
    verify(serverFinal) {
      const sent = Buffer.from(/^v=([^,]+)/.exec(serverFinal)?.[1] ?? '', 'base64');
      if (
        !serverSignature ||
        sent.length !== serverSignature.length ||
        !timingSafeEqual(sent, serverSignature)
      ) {
        throw new ProtocolRefused('the server could not prove that it knows the password');
      }
    },
  };
}

function parseServerFirst(
  text: string,
  clientNonce: string,
): { nonce: string; salt: Buffer; iterations: number } {
  const m = /^r=([^,]+),s=([^,]+),i=(\d+)/.exec(text);
  const nonce = m?.[1] ?? '';
  const iterations = Number(m?.[3] ?? '0');
  const foreign = !nonce.startsWith(clientNonce) || nonce.length === clientNonce.length;
  if (!m || foreign || iterations < 1 || iterations > MAX_ITERATIONS) {
    throw new ProtocolRefused('the server sent an unacceptable SCRAM challenge');
  }
  return { nonce, salt: Buffer.from(m[2] ?? '', 'base64'), iterations };
}

/** RFC 4013 as far as it changes bytes: odd spaces, characters mapped to nothing, NFKC. PostgreSQL is as lenient. */
function saslPrep(password: string): string {
  return password
    .replace(/[\u00A0\u1680\u2000-\u200B\u202F\u205F\u3000]/gu, ' ')
    .replace(/\u00AD|\u034F|\u1806|[\u180B-\u180D]|\u200C|\u200D|\u2060|[\uFE00-\uFE0F]|\uFEFF/gu, '')
    .normalize('NFKC');
}
