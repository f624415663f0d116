import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { withClient } from '../support/postgres.ts';

/** This terminal dials in every transaction. */
const BUSY_TERMINAL = 1;
const FIRST_NUMBER = 100_000_000_000;

/** Terminals that dial at one site without pause: each transaction a new terminal and the busy one, each number higher than the last. */
export class Callers {
  readonly #url: string;
  #dialled = 0;
  #running = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(url: string) {
    this.#url = url;
  }

  start(): void {
    this.#running = true;
    this.#loop = withClient(this.#url, async (client) => {
      while (this.#running) {
        const number = this.nextNumber();
        this.#dialled++;
        await client.query(
          'INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call) VALUES ($1, $2), ($3, $2)',
          [BUSY_TERMINAL + this.#dialled, number, BUSY_TERMINAL],
        );
        await delay(5);
      }
    });
  }

  /** What the next transaction will write. */
  nextNumber(): string {
    return String(FIRST_NUMBER + this.#dialled + 1);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#loop;
  }
}

/**
 * I2 and I6 at a reader of the copy of site a: the busy terminal's number never goes back, no row goes away, and a copy
 * that is filled for the first time comes with at least `firstRows` at once. Call `stop` for the verdict.
 */
export function watchCopy(url: string, firstRows: number): { stop(): Promise<void> } {
  let running = true;
  let [rows, number, reads] = [0, 0, 0];
  const loop = withClient(url, async (client) => {
    while (running) {
      const { rows: seen } = await client.query(
        `SELECT (SELECT count(*) FROM lastcall.lastcalls_a)::int AS rows,
           (SELECT last_dialed_call FROM lastcall.lastcalls_freshest WHERE terminal_id = ${BUSY_TERMINAL})::bigint AS number`,
      );
      const now = { rows: seen[0].rows, number: Number(seen[0].number) };
      if (rows === 0 && now.rows > 0)
        expect(now.rows, 'I6 rows of a copy just filled').toBeGreaterThanOrEqual(firstRows);
      expect(now.rows, 'I6 rows of the copy').toBeGreaterThanOrEqual(rows);
      expect(now.number, 'I2 the newest number').toBeGreaterThanOrEqual(number);
      ({ rows, number } = now);
      reads++;
      await delay(10);
    }
  });
  loop.catch(() => undefined);
  return {
    async stop() {
      running = false;
      await loop;
      expect(reads).toBeGreaterThan(0);
    },
  };
}
