import { publicTerminal } from '../../../shared/domain/public-terminal.ts';
import type { Command } from '../command.ts';
import { namedTerminal, TERMINAL_ARGUMENT } from '../named-terminal.ts';
import { type Cell, cellText } from '../table.ts';

export const terminalsShow: Command = {
  name: 'terminals show',
  summary: 'show one terminal',
  arguments: [TERMINAL_ARGUMENT],
  async run(input, context) {
    const terminal = publicTerminal(await namedTerminal(await context.database(), input.text('TERMINAL')));
    const lines = Object.entries(terminal).map(([name, value]) => {
      const shown = Array.isArray(value) ? value.join(',') : cellText(value as Cell);
      return `${name.padEnd(12)}${shown}`;
    });
    return { data: terminal, text: lines.join('\n') };
  },
};
