import { formatTimestamptz } from '../../../shared/domain/micros.ts';
import { readAuditLog } from '../../../shared/postgres/audit-log.ts';
import type { Command } from '../command.ts';
import { table } from '../table.ts';
import { whole } from '../value-forms.ts';

export const audit: Command = {
  name: 'audit',
  summary: 'who changed what at this site, over REST or the command line, newest first',
  options: [
    { flags: '--limit <n>', description: 'at most so many', default: 50, parse: whole(1, 10_000) },
    { flags: '--before <id>', description: 'older than this entry', parse: whole(1) },
    { flags: '--who <name>', description: "of one token's name, or of user@host" },
  ],
  async run(input, context) {
    const entries = await readAuditLog(await context.database(), {
      before: input.maybeWhole('before'),
      limit: input.maybeWhole('limit') ?? 50,
      who: input.maybeText('who'),
    });
    const data = entries.map((entry) => ({ ...entry, at: formatTimestamptz(entry.at) }));
    const rows = data.map((e) => [e.id, e.at, e.who, e.via, e.source, e.what, JSON.stringify(e.details)]);
    const head = ['id', 'at', 'who', 'via', 'from', 'what', 'details'];
    return { data, text: data.length === 0 ? 'nothing has been changed' : table(head, rows) };
  },
};
