import { FEATURES, type Feature } from '../../shared/domain/feature-code.ts';
import { dialableNumber } from '../../shared/domain/number.ts';
import type { Terminal } from '../../shared/domain/terminal.ts';
import { digestSecrets } from '../../shared/postgres/terminals.ts';

export type LineFormat = 'csv' | 'jsonl';

/** In the order that export writes them; import takes them in any. */
export const COLUMNS = [
  'terminalId',
  'number',
  'username',
  'aor',
  'userId',
  'numberId',
  'features',
  'enabled',
  'password',
  'ha1Md5',
  'ha1Sha256',
] as const;
type Column = (typeof COLUMNS)[number];

/** One line as it was read: a terminal without its id when none is given. */
export type ReadTerminal = Omit<Terminal, 'terminalId'> & { readonly terminalId: number | null };

export interface NumberedLine {
  readonly line: number;
  readonly text: string;
}

export interface LineFault {
  readonly line: number;
  readonly fault: string;
}

class BadLine extends Error {}

/** Pure. Every line that is good as a terminal, and every one that is not with why. An empty line is none. */
export function readTerminalLines(
  lines: readonly NumberedLine[],
  format: LineFormat,
  domain: string,
): { good: { line: number; terminal: ReadTerminal }[]; faults: LineFault[] } {
  const good: { line: number; terminal: ReadTerminal }[] = [];
  const faults: LineFault[] = [];
  const filled = lines.filter(({ text }) => text.trim() !== '');
  const head = format === 'csv' ? splitCsv(filled.shift()?.text ?? '') : null;
  const unknown = (head ?? []).filter((name) => !isColumn(name));
  if (unknown.length > 0)
    return {
      good,
      faults: [{ line: 1, fault: `unknown column ${unknown.join(', ')}; known are ${COLUMNS.join(', ')}` }],
    };
  const taken = new Map<string, number>();
  for (const { line, text } of filled) {
    try {
      const terminal = terminalOf(head ? fromCsv(head, text) : fromJson(text), domain);
      claimNames(terminal, line, taken);
      good.push({ line, terminal });
    } catch (error) {
      if (!(error instanceof BadLine)) throw error;
      faults.push({ line, fault: error.message });
    }
  }
  return { good, faults };
}

/** A username, a number and an address of record belong to one terminal. */
function claimNames(terminal: ReadTerminal, line: number, taken: Map<string, number>): void {
  const { aor, number, terminalId, username } = terminal;
  const names = [`username ${username}`, `number ${number}`, `aor ${aor}`];
  if (terminalId !== null) names.push(`terminalId ${terminalId}`);
  for (const name of names) {
    const other = taken.get(name);
    if (other !== undefined) throw new BadLine(`${name} stands on line ${other} already`);
  }
  for (const name of names) taken.set(name, line);
}

type Given = Readonly<Partial<Record<Column, unknown>>>;

const isColumn = (name: string): name is Column => (COLUMNS as readonly string[]).includes(name);

function fromCsv(head: readonly string[], text: string): Given {
  const cells = splitCsv(text);
  if (cells.length !== head.length)
    throw new BadLine(`${cells.length} columns; the first line has ${head.length}`);
  const entries = head.map((name, index) => [name, cells[index] === '' ? undefined : cells[index]] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function fromJson(text: string): Given {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    throw new BadLine('not JSON');
  }
  if (typeof read !== 'object' || read === null || Array.isArray(read))
    throw new BadLine('not a JSON object');
  const unknown = Object.keys(read).filter(
    (name) => !isColumn(name) && name !== 'updatedAt' && name !== 'site',
  );
  if (unknown.length > 0) throw new BadLine(`unknown key ${unknown.join(', ')}`);
  return Object.fromEntries(Object.entries(read).filter(([, value]) => value !== null));
}

function terminalOf(given: Given, domain: string): ReadTerminal {
  const number =
    typeof given.number === 'string' || typeof given.number === 'number'
      ? dialableNumber(String(given.number))
      : null;
  if (number === null) throw new BadLine('number: expected digits, +, *, # and A to D, at most 32');
  const username = textOf(given, 'username', /^\S{1,128}$/, 'a name without spaces') ?? number;
  const aor =
    textOf(given, 'aor', /^sips?:[^@\s]+@[^@\s]+$/, 'such as sip:1001@example.net') ??
    `sip:${username}@${domain}`;
  return {
    terminalId: idOf(given, 'terminalId'),
    userId: idOf(given, 'userId'),
    username,
    aor,
    ...secretsOf(given, username, domain),
    number,
    numberId: idOf(given, 'numberId'),
    features: featuresOf(given.features),
    enabled: enabledOf(given.enabled),
  };
}

function secretsOf(given: Given, username: string, domain: string): Pick<Terminal, 'ha1Md5' | 'ha1Sha256'> {
  const password = textOf(given, 'password', /^.{1,256}$/s, '1 to 256 characters');
  if (password !== null) return digestSecrets(username, domain, password);
  const ha1Md5 = textOf(given, 'ha1Md5', /^[0-9a-f]{32}$/, '32 hexadecimal digits');
  const ha1Sha256 = textOf(given, 'ha1Sha256', /^[0-9a-f]{64}$/, '64 hexadecimal digits');
  if (ha1Md5 === null && ha1Sha256 === null) throw new BadLine('password, ha1Md5 or ha1Sha256 is needed');
  return { ha1Md5, ha1Sha256 };
}

function textOf(given: Given, name: Column, pattern: RegExp, expected: string): string | null {
  const value = given[name];
  if (value === undefined) return null;
  if (typeof value === 'string' && pattern.test(value)) return value;
  throw new BadLine(`${name}: expected ${expected}`);
}

function idOf(given: Given, name: Column): number | null {
  const value = given[name];
  if (value === undefined) return null;
  const id = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 1) return id;
  throw new BadLine(`${name}: expected a whole number of at least 1`);
}

function featuresOf(value: unknown): readonly Feature[] {
  if (value === undefined) return ['redial', 'return'];
  const names: readonly unknown[] = Array.isArray(value)
    ? value
    : String(value)
        .split(/[\s,|]+/)
        .filter((name) => name !== '');
  if (names.every((name): name is Feature => FEATURES.includes(name as Feature))) return names;
  throw new BadLine(`features: expected some of ${FEATURES.join(', ')}`);
}

function enabledOf(value: unknown): boolean {
  if (value === undefined || value === true || value === 'true' || value === 'yes') return true;
  if (value === false || value === 'false' || value === 'no') return false;
  throw new BadLine('enabled: expected true or false');
}

/** RFC 4180, one record a line. */
function splitCsv(text: string): string[] {
  const cells: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (let last = false; !last; ) {
    const found = cell.exec(text);
    if (!found) throw new BadLine('a quote is not closed, or stands within a cell');
    cells.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? '');
    last = found[3] === '';
  }
  return cells;
}

/** One terminal as a line; without `credentials` whoever imports it must add a password. */
export function terminalLine(terminal: Terminal, format: LineFormat, credentials: boolean): string {
  const { ha1Md5, ha1Sha256, ...rest } = terminal;
  const shown: Given = { ...rest, ...(credentials && { ha1Md5, ha1Sha256 }) };
  const columns = shownColumns(credentials);
  if (format === 'jsonl')
    return JSON.stringify(Object.fromEntries(columns.map((name) => [name, shown[name]])));
  return columns.map((name) => csvCell(shown[name])).join(',');
}

export const shownColumns = (credentials: boolean): readonly Column[] =>
  COLUMNS.filter((name) => name !== 'password' && (credentials || !name.startsWith('ha1')));

export function csvCell(value: unknown): string {
  const text = Array.isArray(value) ? value.join('|') : String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
