import type { Feature } from '../../../shared/domain/feature-code.ts';
import { publicTerminal } from '../../../shared/domain/public-terminal.ts';
import type { Terminal } from '../../../shared/domain/terminal.ts';
import type { Queryable } from '../../../shared/postgres/database.ts';
import { addTerminal, digestSecrets } from '../../../shared/postgres/terminals.ts';
import type { Command } from '../command.ts';
import { PASSWORD_OPTIONS, terminalPassword } from '../terminal-password.ts';
import { dialable, listOf, sipUri, whole } from '../value-forms.ts';

export const terminalsAdd: Command = {
  name: 'terminals add',
  changes: true,
  summary: 'provision a terminal at every site',
  options: [
    {
      flags: '--number <digits>',
      description: 'the number it is called by',
      required: true,
      parse: dialable,
    },
    { flags: '--username <name>', description: 'for its registration; default: the number' },
    ...PASSWORD_OPTIONS,
    { flags: '--aor <uri>', description: 'address of record; default: sip:USERNAME@DOMAIN', parse: sipUri },
    { flags: '--id <n>', description: 'terminal id; default: the next free one', parse: whole(1) },
    { flags: '--user-id <n>', description: 'the subscriber it belongs to', parse: whole(1) },
    { flags: '--number-id <n>', description: "the number's id in your own system", parse: whole(1) },
    {
      flags: '--features <list>',
      description: 'what it may use: redial, return, erase, trace',
      default: ['redial', 'return'],
      parse: listOf('redial', 'return', 'erase', 'trace'),
    },
    { flags: '--disabled', description: 'provision it without letting it register' },
  ],
  examples: [
    'lastcall terminals add --number 1006',
    'pwgen -s 24 1 | tee 1006.secret | lastcall terminals add --number 1006 --password-stdin',
  ],
  async run(input, context) {
    const password = await terminalPassword(input, context);
    const { domain } = context.config().config;
    const database = await context.database();
    const number = input.text('number');
    const username = input.maybeText('username') ?? number;
    const terminal: Terminal = {
      terminalId: input.maybeWhole('id') ?? (await nextTerminalId(database)),
      userId: input.maybeWhole('userId'),
      username,
      aor: input.maybeText('aor') ?? `sip:${username}@${domain}`,
      ...digestSecrets(username, domain, password),
      number,
      numberId: input.maybeWhole('numberId'),
      features: input.list('features') as readonly Feature[],
      enabled: !input.flag('disabled'),
    };
    await addTerminal(database, terminal);
    return {
      data: publicTerminal(terminal),
      text: `terminal ${terminal.terminalId} added: ${terminal.aor}, number ${terminal.number}`,
    };
  },
};

export async function nextTerminalId(database: Queryable): Promise<number> {
  const rows = await database.query<{ next: number }>(
    'SELECT coalesce(max(terminal_id), 0) + 1 AS next FROM lastcall.terminals_by_site',
  );
  return rows[0]?.next ?? 1;
}
