import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { LastcallError } from '../../../shared/domain/errors.ts';
import type { Terminal } from '../../../shared/domain/terminal.ts';
import type { Database, Queryable } from '../../../shared/postgres/database.ts';
import { addFreshTerminals } from '../../../shared/postgres/import-terminals.ts';
import { addTerminal, replaceTerminal } from '../../../shared/postgres/terminals.ts';
import type { Command, Result } from '../command.ts';
import type { Context } from '../context.ts';
import { progressBar } from '../progress.ts';
import { type LineFault, type LineFormat, type NumberedLine, readTerminalLines } from '../terminal-lines.ts';
import { oneOf } from '../value-forms.ts';
import { nextTerminalId } from './terminals-add.ts';

const CHUNK = 10_000;
const ATOMIC_MS = 600_000;
const SHOWN_FAULTS = 20;

export const terminalsImport: Command = {
  name: 'terminals import',
  changes: true,
  summary:
    'provision terminals from CSV or JSON lines; a bad line is named with its number and the rest goes in',
  arguments: [
    { name: 'FILE', description: 'with a first line of column names when it is CSV; - for standard input' },
  ],
  options: [
    {
      flags: '--format <format>',
      description: 'csv or jsonl; default: by the ending of the name',
      parse: oneOf('csv', 'jsonl'),
    },
    { flags: '--atomic', description: 'all lines or none' },
    { flags: '--update', description: 'replace terminals whose ids exist, instead of refusing their lines' },
  ],
  examples: [
    'lastcall terminals import phones.csv',
    'lastcall terminals export | lastcall terminals import - --format jsonl --update',
  ],
  async run(input, context) {
    const file = input.text('FILE');
    const format = (input.maybeText('format') ??
      (/\.(jsonl|ndjson|json)$/.test(file) ? 'jsonl' : 'csv')) as LineFormat;
    const { config } = context.config();
    const { faults, good } = readTerminalLines(await readLines(file, context), format, config.domain);
    const atomic = input.flag('atomic');
    if (atomic && faults.length > 0) return report(0, faults, true);
    const database = await context.database();
    const next = await nextTerminalId(database);
    const highest = good.reduce((most, { terminal }) => Math.max(most, terminal.terminalId ?? 0), next - 1);
    let assigned = highest;
    const lines = good.map(({ line, terminal }) => ({
      line,
      terminal: { ...terminal, terminalId: terminal.terminalId ?? ++assigned },
    }));
    const write = new TerminalWriter(database, config.site, input.flag('update'));
    const advance = progressBar(context, lines.length, 'lines');
    const refused = atomic ? await write.allOrNone(lines, advance) : await write.each(lines, advance);
    const all = [...faults, ...refused].sort((x, y) => x.line - y.line);
    return report(atomic && refused.length > 0 ? 0 : lines.length - refused.length, all, atomic);
  },
};

interface Line {
  readonly line: number;
  readonly terminal: Terminal;
}

class TerminalWriter {
  readonly #database: Database;
  readonly #site: string;
  readonly #update: boolean;

  constructor(database: Database, site: string, update: boolean) {
    this.#database = database;
    this.#site = site;
    this.#update = update;
  }

  /** A chunk is a transaction; what must be judged one by one is written one by one after it. */
  async each(lines: readonly Line[], advance: (done: number) => void): Promise<LineFault[]> {
    const faults: LineFault[] = [];
    for (let from = 0; from < lines.length; from += CHUNK) {
      const chunk = lines.slice(from, from + CHUNK);
      const others = await this.#database.transaction((client) => this.#fresh(client, chunk), ATOMIC_MS);
      for (const line of others) {
        const fault = await this.#one(this.#database, line);
        if (fault) faults.push(fault);
      }
      advance(from + chunk.length);
    }
    return faults;
  }

  async allOrNone(lines: readonly Line[], advance: (done: number) => void): Promise<LineFault[]> {
    try {
      await this.#database.transaction(async (client) => {
        for (let from = 0; from < lines.length; from += CHUNK) {
          const chunk = lines.slice(from, from + CHUNK);
          for (const line of await this.#fresh(client, chunk)) {
            const fault = await this.#one(client, line);
            if (fault) throw new RefusedLine(fault);
          }
          advance(from + chunk.length);
        }
      }, ATOMIC_MS);
      return [];
    } catch (error) {
      const refused = error instanceof RefusedLine ? error : (error as Error).cause;
      if (refused instanceof RefusedLine) return [refused.fault];
      throw error;
    }
  }

  async #fresh(client: Queryable, chunk: readonly Line[]): Promise<Line[]> {
    const others = await addFreshTerminals(
      client,
      this.#site,
      chunk.map(({ terminal }) => terminal),
    );
    return others.flatMap((index) => chunk[index] ?? []);
  }

  async #one(database: Queryable, { line, terminal }: Line): Promise<LineFault | null> {
    try {
      if (this.#update && (await exists(database, terminal.terminalId)))
        await replaceTerminal(database, terminal);
      else await addTerminal(database, terminal);
      return null;
    } catch (error) {
      if (!(error instanceof LastcallError) || error.retry !== 'never') throw error;
      const said = error.details['message'];
      return { line, fault: typeof said === 'string' ? `${error.message}: ${said}` : error.message };
    }
  }
}

class RefusedLine extends Error {
  readonly fault: LineFault;

  constructor(fault: LineFault) {
    super(fault.fault);
    this.fault = fault;
  }
}

async function exists(database: Queryable, terminalId: number): Promise<boolean> {
  const rows = await database.query('SELECT FROM lastcall.terminals WHERE terminal_id = $1', [terminalId]);
  return rows.length > 0;
}

async function readLines(file: string, context: Context): Promise<NumberedLine[]> {
  const input = file === '-' ? context.stdin : createReadStream(resolve(context.cwd, file));
  const lines: NumberedLine[] = [];
  try {
    // A mark of the byte order is Excel's.
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }))
      lines.push({ line: lines.length + 1, text: lines.length === 0 ? text.replace(/^\uFEFF/, '') : text });
  } catch (cause) {
    throw new LastcallError('INVALID_VALUE', { cause, details: { file } });
  }
  return lines;
}

function report(imported: number, faults: readonly LineFault[], atomic: boolean): Result {
  const shown = faults.slice(0, SHOWN_FAULTS).map(({ fault, line }) => `line ${line}: ${fault}`);
  if (faults.length > SHOWN_FAULTS) shown.push(`and ${faults.length - SHOWN_FAULTS} more`);
  const data = { imported, faults };
  const text = `${imported} terminals imported`;
  if (faults.length === 0) return { data, text };
  const nothing = atomic ? ['nothing was imported (--atomic)'] : [];
  return {
    data,
    text: atomic ? '' : text,
    complaint: [...shown, ...nothing].join('\n'),
    exit: atomic ? 1 : 3,
  };
}
