import { withoutDrained } from '../domain/journal-state.ts';
import { type LastCalls, mergeLastCalls } from '../domain/last-calls.ts';
import type { RedisConnection } from './connect.ts';
import { journalStateKey } from './keys.ts';

/**
 * Sets or removes each field that still holds what was read, and says so on a channel of the key's name; returns the
 * positions of those that did not.
 */
const SWAP_FIELDS = `
  local lost = {}
  for i = 1, #ARGV, 3 do
    if (redis.call('HGET', KEYS[1], ARGV[i]) or '') ~= ARGV[i + 1] then
      lost[#lost + 1] = (i - 1) / 3
    elseif ARGV[i + 2] == '' then
      redis.call('HDEL', KEYS[1], ARGV[i])
    else
      redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    end
  end
  redis.call('PUBLISH', KEYS[1], '')
  return lost`;
const ATTEMPTS = 20;

/**
 * The latest journalled state of each terminal: a Redis hash, terminal id to row. Bounded by terminals, not by writes.
 * Each terminal changes atomically; a lost race reads again.
 */
export class JournalState {
  readonly #redis: RedisConnection;
  readonly #key: string;

  constructor(redis: RedisConnection, site: string) {
    this.#redis = redis;
    this.#key = journalStateKey(site);
  }

  add(rows: readonly LastCalls[]): Promise<void> {
    return this.#change(rows, (standing, row) => (standing === null ? row : mergeLastCalls(standing, row)));
  }

  /** Takes out what is in the table now; what came later stays. */
  remove(rows: readonly LastCalls[]): Promise<void> {
    return this.#change(rows, (standing, row) => (standing === null ? null : withoutDrained(standing, row)));
  }

  async read(terminalIds: readonly number[]): Promise<Map<number, LastCalls>> {
    const texts = await this.#redis.client.hmget(this.#key, ...terminalIds.map(String));
    return new Map(
      texts.flatMap((text) => (text === null ? [] : [parse(text)])).map((row) => [row.terminalId, row]),
    );
  }

  /** Every terminal's state, a page at a time. */
  async *all(): AsyncGenerator<LastCalls[]> {
    for await (const page of this.#redis.client.hscanStream(this.#key, { count: 500 })) {
      const texts = (page as string[]).filter((_, index) => index % 2 === 1);
      if (texts.length > 0) yield texts.map(parse);
    }
  }

  /** `onChanged` after each change by any process, while `onHears` has told that it is heard and `onDeaf` not that it is not. */
  listen(onChanged: () => void, onHears: () => void, onDeaf: () => void): void {
    this.#redis.subscribe(this.#key, onChanged, onHears, onDeaf);
  }

  count(): Promise<number> {
    return this.#redis.client.hlen(this.#key);
  }

  async #change(
    rows: readonly LastCalls[],
    next: (standing: LastCalls | null, row: LastCalls) => LastCalls | null,
  ): Promise<void> {
    let left = rows;
    for (let attempt = 0; left.length > 0; attempt++) {
      if (attempt === ATTEMPTS) throw new Error('journal state changed under every attempt');
      const fields = left.map((row) => String(row.terminalId));
      const texts = await this.#redis.client.hmget(this.#key, ...fields);
      const triples = left.flatMap((row, index) => {
        const before = texts[index] ?? null;
        const after = next(before === null ? null : parse(before), row);
        return [fields[index] as string, before ?? '', after === null ? '' : JSON.stringify(after)];
      });
      const lost = (await this.#redis.client.eval(SWAP_FIELDS, 1, this.#key, ...triples)) as number[];
      left = lost.map((index) => left[index] as LastCalls);
    }
  }
}

const parse = (text: string): LastCalls => JSON.parse(text) as LastCalls;
