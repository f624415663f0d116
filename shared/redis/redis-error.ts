import { LastcallError } from '../domain/errors.ts';

/** Redis begins an error reply with its kind in capitals: these say "you may not come in". */
const LOGIN = new Set(['NOAUTH', 'WRONGPASS', 'NOPERM']);
/** And these "I take no writes now": a replica, out of memory, a disk that cannot be written. */
const NO_WRITES = new Set(['READONLY', 'OOM', 'MISCONF', 'NOREPLICAS']);

/** What an error of ioredis means to an operator: nearly always that Redis is away. */
export function translateRedisError(cause: unknown): LastcallError {
  if (cause instanceof LastcallError) return cause;
  const kind = cause instanceof Error ? (/^[A-Z]+/.exec(cause.message)?.[0] ?? '') : '';
  if (LOGIN.has(kind)) return new LastcallError('REDIS_LOGIN_REFUSED', { cause });
  if (NO_WRITES.has(kind)) return new LastcallError('REDIS_REFUSES_WRITES', { cause, details: { kind } });
  return new LastcallError('REDIS_UNREACHABLE', { cause });
}
