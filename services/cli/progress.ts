import type { Context } from './context.ts';

const WIDTH = 30;

/** A bar on standard error while somebody looks at it; into a pipe or a file nothing. Returns how to say how far it is. */
export function progressBar(
  { err, errIsTerminal }: Pick<Context, 'err' | 'errIsTerminal'>,
  total: number,
  what: string,
) {
  return (done: number): void => {
    if (!errIsTerminal) return;
    const filled = total === 0 ? WIDTH : Math.round((done / total) * WIDTH);
    err(
      `\r[${'#'.repeat(filled)}${' '.repeat(WIDTH - filled)}] ${done} of ${total} ${what}${done >= total ? '\n' : ''}`,
    );
  };
}
