import { type Command as Commander, CommanderError, createCommand } from 'commander';
import type { Command, ExitStatus, Result } from './command.ts';
import { recordCommand } from './command-audit.ts';
import { commands, GROUPS } from './commands.ts';
import { GLOBAL_OPTIONS, openContext } from './context.ts';
import { describeError } from './describe-error.ts';
import { Input } from './input.ts';
import { programVersion } from './program-version.ts';
import type { Terminal } from './terminal.ts';

/** Runs one command line (without the two leading words of `process.argv`) and resolves with its exit status. */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  let exit: ExitStatus = 0;
  const program = buildProgram(terminal, async (command, values) => {
    exit = await execute(command, values, terminal);
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exit;
  } catch (error) {
    // Commander has printed what is wrong, or the help that was asked for.
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    if (argv.includes('--json')) terminal.out(`${JSON.stringify(usageJson(error), null, 2)}\n`);
    return 2;
  }
}

const usageJson = ({ message }: CommanderError) => ({
  error: { code: 'WRONG_USAGE', message: message.replace(/^error: /, '') },
});

type Execute = (command: Command, values: ReadonlyMap<string, unknown>) => Promise<void>;

export function buildProgram(terminal: Pick<Terminal, 'out' | 'err'>, execute: Execute): Commander {
  const program = createCommand('lastcall')
    .description("Last number redial and call return at several sites: the operator's hand.")
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text) })
    .version(programVersion(), '--version', 'print the version')
    .exitOverride()
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      '\nExit status: 0 done, 1 failed, 2 wrong usage, 3 works but not everything is well.',
    );
  for (const option of GLOBAL_OPTIONS) program.option(option.flags, option.description);
  const groups = new Map<string, Commander>();
  for (const command of commands) {
    const [first = '', second] = command.name.split(' ');
    const parent = second === undefined ? program : groupOf(program, groups, first);
    declare(parent, second ?? first, command, execute);
  }
  return program;
}

function groupOf(program: Commander, groups: Map<string, Commander>, name: string): Commander {
  const group = groups.get(name) ?? program.command(name).description(GROUPS[name] ?? '');
  groups.set(name, group);
  return group;
}

function declare(parent: Commander, name: string, command: Command, execute: Execute): void {
  const child = parent.command(name).description(command.summary);
  for (const argument of command.arguments ?? []) {
    const label = argument.variadic ? `${argument.name}...` : argument.name;
    const parse = argument.parse;
    const brackets = argument.optional ? `[${label}]` : `<${label}>`;
    if (parse) child.argument(brackets, argument.description, (text) => parse(text));
    else child.argument(brackets, argument.description);
  }
  for (const option of command.options ?? []) {
    const declared = child.createOption(option.flags, option.description);
    if (option.default !== undefined) declared.default(option.default);
    if (option.parse) declared.argParser(option.parse);
    if (option.repeatable) declared.argParser((text, before: readonly string[] = []) => [...before, text]);
    child.addOption(option.required ? declared.makeOptionMandatory() : declared);
  }
  if (command.examples) {
    child.addHelpText('after', `\nExamples:\n${command.examples.map((line) => `  ${line}`).join('\n')}`);
  }
  child.action(async () => {
    const named = (command.arguments ?? []).map(
      (argument, index) => [argument.name, child.processedArgs[index]] as const,
    );
    await execute(command, new Map<string, unknown>([...Object.entries(child.optsWithGlobals()), ...named]));
  });
}

async function execute(
  command: Command,
  values: ReadonlyMap<string, unknown>,
  terminal: Terminal,
): Promise<ExitStatus> {
  const input = new Input(values);
  const json = input.flag('json');
  const context = openContext(input, terminal);
  try {
    const result = await command.run(input, context);
    const changed = typeof command.changes === 'function' ? command.changes(input) : command.changes;
    if (changed) await recordCommand(command.name, values, context);
    return print(result, json, terminal);
  } catch (error) {
    const failure = describeError(error);
    return print(command.failsInOneLine ? inOneLine(failure) : failure, json, terminal);
  } finally {
    await context.close();
  }
}

function inOneLine(failure: Result): Result {
  const complaint = failure.complaint?.split(/\s*\n\s*/).join('; ') ?? '';
  return { ...failure, complaint };
}

/** Failures go to standard error unless a program asked for JSON. */
function print(result: Result, json: boolean, terminal: Terminal): ExitStatus {
  const exit = result.exit ?? 0;
  if (result.printed) return exit;
  if (json) terminal.out(`${JSON.stringify(result.data, null, 2)}\n`);
  else if (result.text !== '') terminal.out(`${result.text}\n`);
  if (result.complaint !== undefined) terminal.err(`${result.complaint}\n`);
  return exit;
}
