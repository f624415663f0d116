import { writeFile } from 'node:fs/promises';
import type { Dialed } from './contender.ts';

/** The number of terminal `id`. */
export const numberOf = (id: number): string => String(1_000_000 + id);

/**
 * Rows for `terminals` subscribers, as the SQL expressions of one generate_series: each has dialed and missed somebody at
 * both sites, the newer call at a for the even ones and at b for the odd ones, so that a lookup has to compare.
 */
export const POPULATION = {
  number: '(1000000 + i)::text',
  target: (terminals: number) => `(1000001 + (i::bigint * 7919) % ${terminals})::text`,
  date: (site: 'a' | 'b') =>
    `now() - interval '1 hour' * (1 + (i + ${site === 'a' ? 1 : 0}) % 2) - interval '1 ms' * (i % 997)`,
};

/** Hands out callers in a random order, nobody twice before everybody was. */
export class Callers {
  readonly #order: number[];
  #next = 0;

  constructor(terminals: number) {
    this.#order = shuffled(Array.from({ length: terminals }, (_, index) => index + 1));
  }

  /** Writes SIPp's injection file: the caller's number and what it dials. */
  async write(file: string, calls: number, dialed: Dialed): Promise<void> {
    const lines = Array.from({ length: calls }, () => {
      const caller = this.#take();
      return `${numberOf(caller)};${dialed === 'plain' ? numberOf(1 + (caller % this.#order.length)) : dialed};`;
    });
    await writeFile(file, `SEQUENTIAL\n${lines.join('\n')}\n`);
  }

  #take(): number {
    const caller = this.#order[this.#next % this.#order.length] ?? 1;
    this.#next++;
    return caller;
  }
}

function shuffled(values: number[]): number[] {
  for (let i = values.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [values[i], values[j]] = [values[j] as number, values[i] as number];
  }
  return values;
}
