import { listTerminals } from '../../../shared/postgres/terminals.ts';
import type { Command } from '../command.ts';
import { type LineFormat, shownColumns, terminalLine } from '../terminal-lines.ts';
import { oneOf } from '../value-forms.ts';

const PAGE = 10_000;

export const terminalsExport: Command = {
  name: 'terminals export',
  summary: 'print every terminal as a line, as `terminals import` reads it',
  options: [
    {
      flags: '--format <format>',
      description: 'csv or jsonl',
      default: 'jsonl',
      parse: oneOf('csv', 'jsonl'),
    },
    { flags: '--credentials', description: 'with the digest secrets: they are as good as passwords' },
  ],
  examples: ['lastcall terminals export --format csv > phones.csv'],
  async run(input, context) {
    const format = input.text('format') as LineFormat;
    const credentials = input.flag('credentials');
    const database = await context.database();
    if (format === 'csv') context.out(`${shownColumns(credentials).join(',')}\n`);
    let exported = 0;
    for (let after = 0; ; ) {
      const page = await listTerminals(database, after, PAGE);
      if (page.length > 0)
        context.out(page.map((terminal) => `${terminalLine(terminal, format, credentials)}\n`).join(''));
      exported += page.length;
      const last = page.at(-1);
      if (!last || page.length < PAGE) break;
      after = last.terminalId;
    }
    return { data: { exported }, text: '', printed: true };
  },
};
