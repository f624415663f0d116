import { removeTerminal } from '../../../shared/postgres/terminals.ts';
import type { Command } from '../command.ts';
import { namedTerminal, TERMINAL_ARGUMENT } from '../named-terminal.ts';

export const terminalsRemove: Command = {
  name: 'terminals remove',
  changes: true,
  summary: 'remove a terminal and its last calls from every table of every site',
  arguments: [TERMINAL_ARGUMENT],
  async run(input, context) {
    const database = await context.database();
    const { terminalId, number } = await namedTerminal(database, input.text('TERMINAL'));
    await removeTerminal(database, terminalId);
    return { data: { terminalId, removed: true }, text: `terminal ${terminalId} (number ${number}) removed` };
  },
};
