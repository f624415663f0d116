import type { Command } from '../command.ts';
import { completionScript, SHELLS, type Shell } from '../completion-script.ts';
import { GLOBAL_OPTIONS } from '../context.ts';
import { oneOf } from '../value-forms.ts';

/** It completes every command, itself among them: the list is given late, for it holds this one. */
export const completion = (commands: () => readonly Command[]): Command => ({
  name: 'completion',
  summary: "print a shell's completion of commands and options",
  arguments: [{ name: 'SHELL', description: SHELLS.join(', '), parse: oneOf(...SHELLS) }],
  examples: [
    'source <(lastcall completion bash)',
    'lastcall completion fish > ~/.config/fish/completions/lastcall.fish',
  ],
  async run(input) {
    const shell = input.text('SHELL') as Shell;
    const known = commands().map(({ name, options = [], summary }) => ({
      words: name.split(' '),
      summary,
      options: [...options, ...GLOBAL_OPTIONS].map(({ flags }) => flags.split(/[ ,]/, 1)[0] ?? ''),
    }));
    const script = completionScript(shell, known);
    return { data: { shell, script }, text: script.trimEnd() };
  },
});
