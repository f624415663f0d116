import type { ForgetScope } from '../../../shared/domain/forget.ts';
import { formatTimestamptz } from '../../../shared/domain/micros.ts';
import { forgetLastCalls } from '../../../shared/postgres/last-calls/forget.ts';
import type { Command } from '../command.ts';
import { namedTerminal, TERMINAL_ARGUMENT } from '../named-terminal.ts';
import { oneOf } from '../value-forms.ts';

export const forget: Command = {
  name: 'forget',
  changes: true,
  summary: "forget a terminal's last calls in every table of every site",
  arguments: [TERMINAL_ARGUMENT],
  options: [
    {
      flags: '--scope <scope>',
      description: 'all, dialed, received or terminated',
      default: 'all',
      parse: oneOf('all', 'dialed', 'received', 'terminated'),
    },
  ],
  async run(input, context) {
    const database = await context.database();
    const { terminalId } = await namedTerminal(database, input.text('TERMINAL'));
    const scope = input.text('scope') as ForgetScope;
    const forgottenAt = formatTimestamptz(await forgetLastCalls(database, terminalId, scope));
    return {
      data: { terminalId, scope, forgottenAt },
      text: `terminal ${terminalId}: ${scope} last calls up to ${forgottenAt} are forgotten`,
    };
  },
};
