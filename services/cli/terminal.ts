import type { Readable } from 'node:stream';

/** Standard input, or what a test puts there. */
export type Typed = Readable & { readonly isTTY?: boolean };

/** Where a run reads and writes: the process, or a test. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  out(text: string): void;
  err(text: string): void;
  /** What is typed or piped in. */
  readonly stdin: Typed;
  /** Somebody looks at it: bars, colours and a table that is drawn anew are for people only. */
  readonly outIsTerminal?: boolean;
  readonly errIsTerminal?: boolean;
  /** Ends what watches until interrupted. */
  readonly signal: AbortSignal;
}
