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
  const describe = (error: unknown) => describeError(error, settings);
  const options: LoggerOptions = {
    level: settings.level,
    base: { service, site },
    serializers: { err: describe, error: describe },
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

function describeError(error: unknown, settings: LogSettings): unknown {
  if (error instanceof LastcallError) {
    return {
      code: error.code,
      message: error.message,
      details: maskDetails(error.details, settings),
      cause: describeCause(error.cause),
    };
  }
  if (!(error instanceof Error)) return error;
  return {
    type: error.name,
    message: withoutPasswords(error.message),
    stack: withoutPasswords(error.stack ?? ''),
  };
}

function describeCause(cause: unknown): unknown {
  return cause instanceof Error ? { type: cause.name, message: withoutPasswords(cause.message) } : undefined;
}

function maskDetails(details: LastcallError['details'], { fullNumbers }: LogSettings): unknown {
  const masked = Object.entries(details).map(([name, value]) => {
    if (SECRETS.includes(name)) return [name, '[redacted]'];
    if (NUMBERS.includes(name) && !fullNumbers) return [name, maskNumber(String(value))];
    return [name, typeof value === 'string' ? withoutPasswords(value) : value];
  });
  return Object.fromEntries(masked);
}

/** Libraries put the URL that failed into their messages. */
function withoutPasswords(text: string): string {
  return text.replace(/([a-z]+:\/\/[^:@/\s]*:)[^@/\s]*@/gi, '$1***@');
}
