import { Readable } from 'node:stream';
import { runCommandLine } from '../../../services/cli/program.ts';
import type { Typed } from '../../../services/cli/terminal.ts';

export interface CliRun {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

export interface CliSurroundings {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  /** By default empty, and no terminal. */
  readonly stdin?: Typed;
  readonly onOut?: (text: string) => void;
  readonly onErr?: (text: string) => void;
  readonly outIsTerminal?: boolean;
  readonly errIsTerminal?: boolean;
}

/** One command line in this process, as `lastcall ...` in a shell. */
export async function runCli(argv: readonly string[], surroundings: CliSurroundings = {}): Promise<CliRun> {
  let out = '';
  let err = '';
  const exit = await runCommandLine(argv, {
    env: surroundings.env ?? {},
    cwd: surroundings.cwd ?? '/nonexistent',
    signal: surroundings.signal ?? new AbortController().signal,
    stdin: surroundings.stdin ?? Readable.from([]),
    outIsTerminal: surroundings.outIsTerminal ?? false,
    errIsTerminal: surroundings.errIsTerminal ?? false,
    out: (text) => {
      out += text;
      surroundings.onOut?.(text);
    },
    err: (text) => {
      err += text;
      surroundings.onErr?.(text);
    },
  });
  return { exit, out, err };
}
