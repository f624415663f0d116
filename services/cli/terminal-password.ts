import { createInterface } from 'node:readline';
import { type Option, WrongUsage } from './command.ts';
import type { Context } from './context.ts';
import type { Input } from './input.ts';
import type { Typed } from './terminal.ts';

export const PASSWORD_OPTIONS: readonly Option[] = [
  { flags: '--password-stdin', description: 'read its password, one line, from standard input' },
  {
    flags: '--password <text>',
    description: 'its password where every user of this machine can see it; with neither, it is asked for',
  },
];

/** The password that the options name, else typed at the prompt. Throws {@link WrongUsage} when there is none. */
export async function terminalPassword(input: Input, { stdin, err }: Context): Promise<string> {
  const given = input.maybeText('password');
  const fromStdin = input.flag('passwordStdin');
  if (given !== null && fromStdin) throw new WrongUsage('give --password-stdin or --password, not both');
  if (given !== null) return given;
  if (!fromStdin && !stdin.isTTY)
    throw new WrongUsage('required option: --password-stdin or --password, for nobody is there to be asked');
  if (!fromStdin) err('Password: ');
  const line = await firstLine(stdin);
  if (!fromStdin) err('\n');
  if (!line) throw new WrongUsage('the password is empty');
  return line;
}

/** At a terminal nothing that is typed is shown: readline takes over the echo, and has no output to write it to. */
async function firstLine(stdin: Typed): Promise<string | null> {
  const lines = createInterface({ input: stdin, terminal: stdin.isTTY === true });
  for await (const line of lines) return line;
  return null;
}
