import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import { LastcallError } from '../domain/errors.ts';

export type { Logger } from 'pino';

export interface LogSettings {
  readonly level: string;
  readonly pretty: boolean;
  /** Telephone numbers in full instead of their last two digits. */
  readonly fullNumbers: boolean;
}

const SECRETS = ['password', 'token', 'authorization', 'ha1', 'ha1Md5', 'ha1Sha256', 'secret', 'url'];
const NUMBERS = ['number', 'dialed', 'caller', 'callee', 'target'];
const paths = (names: readonly string[]) => names.flatMap((name) => [name, `*.${name}`]);

/** The process's logger. Constant messages, data in fields; secrets are removed and numbers masked wherever they stand. */
export function createLogger(
  service: string,
  site: string,
  settings: LogSettings,
  destination?: DestinationStream,
): Logger {
  const options: LoggerOptions = {
    level: settings.level,
    base: { service, site },
    serializers: { err: describeError, error: describeError },
    redact: {
      paths: [...paths(SECRETS), ...(settings.fullNumbers ? [] : paths(NUMBERS))],
      censor: (value, path) =>
        SECRETS.includes(path.at(-1) ?? '') ? '[redacted]' : maskNumber(String(value)),
    },
  };
  if (destination) return pino(options, destination);
  if (!settings.pretty) return pino(options);
  return pino({
    ...options,
    transport: {
      target: 'pino-pretty',
      options: { ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' },
    },
  });
}

/** The last two digits of a number, the rest as dots: enough to recognise, too little to call. */
export function maskNumber(number: string): string {
  return number.length <= 2 ? number : '\u2022'.repeat(number.length - 2) + number.slice(-2);
}

function describeError(error: unknown): unknown {
  if (error instanceof LastcallError) {
    return {
      code: error.code,
      message: error.message,
      details: error.details,
      cause: describeCause(error.cause),
    };
  }
  return error instanceof Error ? { type: error.name, message: error.message, stack: error.stack } : error;
}

function describeCause(cause: unknown): unknown {
  return cause instanceof Error ? { type: cause.name, message: cause.message } : undefined;
}
