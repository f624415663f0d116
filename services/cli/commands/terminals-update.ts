import type { Feature } from '../../../shared/domain/feature-code.ts';
import { publicTerminal } from '../../../shared/domain/public-terminal.ts';
import type { Terminal } from '../../../shared/domain/terminal.ts';
import { digestSecrets, replaceTerminal } from '../../../shared/postgres/terminals.ts';
import { type Command, WrongUsage } from '../command.ts';
import { namedTerminal, TERMINAL_ARGUMENT } from '../named-terminal.ts';
import { PASSWORD_OPTIONS, terminalPassword } from '../terminal-password.ts';
import { dialable, listOf, sipUri, whole } from '../value-forms.ts';

export const terminalsUpdate: Command = {
  name: 'terminals update',
  changes: true,
  summary: 'change what is named of a terminal, and nothing else',
  arguments: [TERMINAL_ARGUMENT],
  options: [
    { flags: '--number <digits>', description: 'the number it is called by', parse: dialable },
    { flags: '--username <name>', description: 'for its registration; needs the password again' },
    ...PASSWORD_OPTIONS,
    { flags: '--aor <uri>', description: 'address of record', parse: sipUri },
    { flags: '--user-id <n>', description: 'the subscriber it belongs to', parse: whole(1) },
    { flags: '--number-id <n>', description: "the number's id in your own system", parse: whole(1) },
    {
      flags: '--features <list>',
      description: 'what it may use: redial, return, erase, trace',
      parse: listOf('redial', 'return', 'erase', 'trace'),
    },
    { flags: '--enable', description: 'let it register' },
    { flags: '--disable', description: 'let it register no more' },
  ],
  examples: ['lastcall terminals update 1006 --features redial', 'lastcall terminals update 1006 --disable'],
  async run(input, context) {
    if (input.flag('enable') && input.flag('disable'))
      throw new WrongUsage('give --enable or --disable, not both');
    const newPassword = input.flag('passwordStdin') || input.has('password');
    const username = input.maybeText('username');
    if (username !== null && !newPassword)
      throw new WrongUsage('a new username needs the password again: --password-stdin or --password');
    const password = newPassword ? await terminalPassword(input, context) : null;
    const database = await context.database();
    const before = await namedTerminal(database, input.text('TERMINAL'));
    const name = username ?? before.username;
    const changed: Terminal = {
      ...before,
      username: name,
      number: input.maybeText('number') ?? before.number,
      aor: input.maybeText('aor') ?? before.aor,
      userId: input.maybeWhole('userId') ?? before.userId,
      numberId: input.maybeWhole('numberId') ?? before.numberId,
      features: input.has('features') ? (input.list('features') as readonly Feature[]) : before.features,
      enabled: input.flag('enable') || (!input.flag('disable') && before.enabled),
      ...(password !== null && digestSecrets(name, context.config().config.domain, password)),
    };
    await replaceTerminal(database, changed);
    const after = publicTerminal(await namedTerminal(database, changed.aor));
    return {
      data: after,
      text: `terminal ${after.terminalId} changed: ${after.aor}, number ${after.number}`,
    };
  },
};
