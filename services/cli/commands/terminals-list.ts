import { publicTerminal } from '../../../shared/domain/public-terminal.ts';
import { listTerminals } from '../../../shared/postgres/terminals.ts';
import type { Command } from '../command.ts';
import { table } from '../table.ts';
import { whole } from '../value-forms.ts';

export const terminalsList: Command = {
  name: 'terminals list',
  summary: 'list terminals in the order of their ids',
  options: [
    { flags: '--after <n>', description: 'begin after this terminal id', default: 0, parse: whole(0) },
    { flags: '--limit <n>', description: 'at most so many', default: 1000, parse: whole(1, 100_000) },
  ],
  async run(input, context) {
    const limit = input.maybeWhole('limit') ?? 1000;
    const terminals = await listTerminals(await context.database(), input.maybeWhole('after') ?? 0, limit);
    const rows = terminals.map((t) => [
      t.terminalId,
      t.number,
      t.username,
      t.aor,
      t.features.join(','),
      t.enabled,
      t.site,
    ]);
    const last = terminals.at(-1);
    const more = last && terminals.length === limit ? `\nthere may be more: --after ${last.terminalId}` : '';
    return {
      data: terminals.map(publicTerminal),
      text: table(['id', 'number', 'username', 'aor', 'features', 'enabled', 'site'], rows) + more,
    };
  },
};
