import type { Context } from './context.ts';
import type { Input } from './input.ts';

/** 0 done, 1 failed, 2 wrong usage, 3 it works but not everything is well; 7 is OCF_NOT_RUNNING, for Pacemaker only. */
export type ExitStatus = 0 | 1 | 2 | 3 | 7;

export interface Argument {
  /** As the help shows it: upper case. */
  readonly name: string;
  readonly description: string;
  readonly optional?: boolean;
  readonly variadic?: boolean;
  /** Throws `InvalidArgumentError` of commander, saying the expected form. */
  readonly parse?: (text: string) => unknown;
}

export interface Option {
  /** `--number DIGITS`, `--json` */
  readonly flags: string;
  readonly description: string;
  readonly required?: boolean;
  readonly default?: unknown;
  readonly parse?: (text: string) => unknown;
  /** May be given several times: a list. */
  readonly repeatable?: boolean;
}

/** What a command did: `data` is printed with --json, `text` without. */
export interface Result {
  readonly data: unknown;
  readonly text: string;
  /** One line for standard error, as hooks and scripts expect it. */
  readonly complaint?: string;
  readonly exit?: ExitStatus;
  /** Everything has been printed on the way, with --json as well. */
  readonly printed?: boolean;
}

/** The command line lacks something, or says two things at once: exit status 2. */
export class WrongUsage extends Error {}

/** One command as data: the help, the parser and the tests read the same. */
export interface Command {
  /** `terminals add` */
  readonly name: string;
  readonly summary: string;
  readonly arguments?: readonly Argument[];
  readonly options?: readonly Option[];
  /** An example or two for --help. */
  readonly examples?: readonly string[];
  /** It changes something: what it did in this site's database goes into the audit log; what it asked of the API stands there already. */
  readonly changes?: boolean | ((input: Input) => boolean);
  /** High-availability tools log its standard error: a failure is one line. */
  readonly failsInOneLine?: boolean;
  run(input: Input, context: Context): Promise<Result>;
}
