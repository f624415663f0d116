import { ERRORS, LastcallError } from '../../shared/domain/errors.ts';
import { ConfigError } from '../../shared/runtime/config.ts';
import { type Result, WrongUsage } from './command.ts';

/** Any failure as the operator reads it: code, what is wrong, what to do. Never a stack trace. */
export function describeError(error: unknown): Result {
  if (error instanceof ConfigError) return describeFaults(error);
  if (error instanceof WrongUsage) return describeUsage(error);
  const known = error instanceof LastcallError ? error : new LastcallError('INTERNAL', { cause: error });
  const details = detailLines(known);
  const { remedy } = ERRORS[known.code];
  return {
    data: { error: { code: known.code, message: known.message, details, remedy } },
    text: '',
    complaint: [
      `lastcall: ${known.code}: ${known.message}`,
      ...details.map((line) => `  ${line}`),
      `  ${remedy}`,
    ].join('\n'),
    exit: known.code === 'CONFIG_MISSING' ? 2 : 1,
  };
}

/** As commander says it. */
function describeUsage({ message }: WrongUsage): Result {
  const data = { error: { code: 'WRONG_USAGE', message } };
  return { data, text: '', complaint: `error: ${message}`, exit: 2 };
}

function describeFaults({ faults }: ConfigError): Result {
  const lines = faults.map(({ path, fault }) => `  ${path}: ${fault}`);
  return {
    data: { error: { code: 'CONFIG_INVALID', message: 'The configuration is not valid', faults } },
    text: '',
    complaint: [
      `lastcall: CONFIG_INVALID: ${lines.length} fault${lines.length === 1 ? '' : 's'} in the configuration`,
      ...lines,
    ].join('\n'),
    exit: 1,
  };
}

function detailLines(error: LastcallError): string[] {
  const { message, ...rest } = error.details;
  const lines = typeof message === 'string' ? [message] : [];
  for (const [name, value] of Object.entries(rest)) {
    if (value !== undefined && value !== '' && name !== 'constraint') lines.push(`${name}: ${text(value)}`);
  }
  const said = lines.length > 0 || error.code === 'INTERNAL' ? causeOf(error) : null;
  return said === null || lines.includes(said) ? lines : [...lines, said];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function causeOf(error: LastcallError): string | null {
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : null;
}
