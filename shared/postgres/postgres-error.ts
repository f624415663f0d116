import { LastcallError } from '../domain/errors.ts';
import { SQLSTATE } from './sqlstate.ts';
import { ConnectionLost } from './wire/server-error.ts';

const SOCKET_ERRORS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
/** Of a certificate that is not trusted: the URL names another authority, or none. */
const TLS_ERRORS = /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_CERT_)/;
/** SQLSTATE classes and codes that say "this connection or this server is no longer the writable one". */
const LOST = /^(08...|57P0[1235]|25006)$/;
const LOGIN = /^28...$/;
/** Deadlock, serialisation, no room, no disk, a fault inside the server: nothing is wrong with what was asked. */
const BUSY = /^(40...|53...|55...|57...|58...|F0...|XX...)$/;
const MISSING = new Set<string>([
  SQLSTATE.UNDEFINED_TABLE,
  SQLSTATE.INVALID_SCHEMA_NAME,
  SQLSTATE.INVALID_CATALOG_NAME,
]);

/** What an error of `pg`, or of the wire client, means to an operator. Anything not known here stays an internal error with its cause. */
export function translatePostgresError(cause: unknown): LastcallError {
  if (cause instanceof LastcallError) return cause;
  if (cause instanceof ConnectionLost) return new LastcallError('DATABASE_UNREACHABLE', { cause });
  const { code, constraint, message } = describe(cause);
  if (SOCKET_ERRORS.has(code) || LOST.test(code))
    return new LastcallError('DATABASE_UNREACHABLE', { cause, details: { sqlstate: code } });
  if (TLS_ERRORS.test(code))
    return new LastcallError('DATABASE_UNREACHABLE', { cause, details: { message } });
  if (LOGIN.test(code))
    return new LastcallError('DATABASE_LOGIN_REFUSED', { cause, details: { sqlstate: code } });
  if (code === SQLSTATE.QUERY_CANCELED || code === SQLSTATE.LOCK_NOT_AVAILABLE)
    return new LastcallError('DATABASE_TIMEOUT', { cause, details: { sqlstate: code } });
  if (BUSY.test(code))
    return new LastcallError('DATABASE_BUSY', { cause, details: { sqlstate: code, message } });
  if (code === SQLSTATE.INSUFFICIENT_PRIVILEGE)
    return new LastcallError('DATABASE_PERMISSION_DENIED', { cause, details: { sqlstate: code, message } });
  if (MISSING.has(code))
    return new LastcallError('SCHEMA_MISSING', { cause, details: { sqlstate: code, message } });
  if (code === SQLSTATE.UNIQUE_VIOLATION)
    return new LastcallError('TERMINAL_EXISTS', { cause, details: { constraint, message } });
  if (/^2[23]...$/.test(code))
    return new LastcallError('INVALID_VALUE', {
      cause,
      details: { sqlstate: code, message, ...hintOf(cause) },
    });
  if (code === '' && cause instanceof Error && isLateAnswer(cause))
    return new LastcallError('DATABASE_TIMEOUT', { cause });
  // pg reports a connection closed under a query, or never made in time, without a code.
  if (code === '' && cause instanceof Error && isConnectionLoss(cause))
    return new LastcallError('DATABASE_UNREACHABLE', { cause });
  return new LastcallError('INTERNAL', { cause });
}

/** True when the server itself must be looked for again. */
export function isDatabaseLoss(error: LastcallError): boolean {
  return error.code === 'DATABASE_UNREACHABLE' || error.code === 'DATABASE_LOGIN_REFUSED';
}

function describe(cause: unknown): { code: string; constraint: string; message: string } {
  const fields = (typeof cause === 'object' && cause !== null ? cause : {}) as Record<string, unknown>;
  const text = (name: string) => (typeof fields[name] === 'string' ? (fields[name] as string) : '');
  return { code: text('code'), constraint: text('constraint'), message: text('message') };
}

/** What the schema's own refusals say to do. */
function hintOf(cause: unknown): { hint?: string } {
  const { hint } = cause as { hint?: unknown };
  return typeof hint === 'string' ? { hint } : {};
}

// The library has no code for these; its own words are all there is.

function isConnectionLoss(error: Error): boolean {
  return /^(The server does not support SSL|Connection terminated|timeout expired|Client has encountered a connection error|Client was closed|Cannot use a pool after)/.test(
    error.message,
  );
}

/** `query_timeout` of a client, or no free connection in the pool for `connectionTimeoutMillis`. */
function isLateAnswer(error: Error): boolean {
  return /^(Query read timeout|timeout exceeded when trying to connect)/.test(error.message);
}
