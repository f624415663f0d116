import type { StoredTerminal } from '../domain/terminal.ts';
import type { RedisConnection } from './connect.ts';
import { keyPrefix } from './keys.ts';

/** What names a terminal in SIP. */
export type TerminalName = 'username' | 'number';

/** Long enough for a PostgreSQL that is away overnight; a copy in use is written again each hour while it answers. */
const LIFETIME_SECONDS = 86_400;
/** A copy that did not change is written again this often, so that it does not expire in use. */
const REWRITE_MS = 3_600_000;
const REMEMBERED = 200_000;
const PAGE = 500;

/** KEYS: copies, each with its text in ARGV after the lifetime in seconds; an empty text removes the copy. */
const KEEP = `
for i, key in ipairs(KEYS) do
  local text = ARGV[i + 1]
  if text == '' then redis.call('DEL', key) else redis.call('SET', key, text, 'EX', ARGV[1]) end
end`;

interface Copy {
  readonly key: string;
  readonly text: string;
}

/**
 * Copies of the terminals in use, so that a process started while PostgreSQL is away still knows its phones. Holds digest
 * secrets, as PostgreSQL does. Written after each reading from PostgreSQL, read only when that fails.
 */
export class TerminalCache {
  readonly #redis: RedisConnection;
  readonly #site: string;
  readonly #written = new Map<string, { readonly text: string; readonly atMs: number }>();

  constructor(redis: RedisConnection, site: string) {
    this.#redis = redis;
    this.#site = site;
    redis.content(site).onLost(() => this.#writeAgain());
  }

  /** Keeps what PostgreSQL said about these names; null, or a disabled terminal, removes the copy. Never rejects: the copies are an extra. */
  async keep(by: TerminalName, terminals: ReadonlyMap<string, StoredTerminal | null>): Promise<void> {
    const nowMs = Date.now();
    const texts = [...terminals].map(([name, terminal]) => ({
      key: this.#key(by, name),
      text: terminal?.enabled ? JSON.stringify(terminal) : '',
    }));
    const changed = texts.filter(({ key, text }) => {
      const before = this.#written.get(key);
      return before?.text !== text || nowMs - before.atMs > REWRITE_MS;
    });
    if (changed.length === 0 || this.#redis.state.state !== 'up') return;
    const kept = await this.#write(changed).catch(() => false);
    if (kept === false) return;
    if (this.#written.size > REMEMBERED) this.#written.clear();
    for (const { key, text } of changed) this.#written.set(key, { text, atMs: nowMs });
  }

  /** Takes these copies away at once: their terminal was changed or removed. Rejects while Redis is away. */
  async drop(by: TerminalName, names: readonly string[]): Promise<void> {
    const keys = names.map((name) => this.#key(by, name));
    for (const key of keys) this.#written.delete(key);
    if (keys.length > 0) await this.#redis.client.del(keys);
  }

  /** Every copy, a page at a time. Rejects while Redis is away. */
  async *pages(by: TerminalName): AsyncGenerator<Map<string, StoredTerminal>> {
    const prefix = this.#key(by, '');
    for await (const page of this.#redis.client.scanStream({ match: `${prefix}*`, count: PAGE })) {
      const names = (page as string[]).map((key) => key.slice(prefix.length));
      if (names.length > 0) yield await this.findAll(by, names);
    }
  }

  /** One copy; null when there is none or Redis is away. */
  async find(by: TerminalName, name: string): Promise<StoredTerminal | null> {
    const found = await this.findAll(by, [name]).catch(() => null);
    return found?.get(name) ?? null;
  }

  /** The copies of these names; a name without a copy is absent. Rejects while Redis is away. */
  async findAll(by: TerminalName, names: readonly string[]): Promise<Map<string, StoredTerminal>> {
    const texts = await this.#redis.client.mget(names.map((name) => this.#key(by, name)));
    const found = texts.flatMap((text) => (text === null ? [] : [JSON.parse(text) as StoredTerminal]));
    return new Map(found.map((terminal) => [terminal[by], terminal]));
  }

  /** True once some process of this site kept a copy: there is something to serve from without PostgreSQL. */
  async holdsAny(): Promise<boolean> {
    return (await this.#redis.client.exists(this.#anyKey)) === 1;
  }

  async #writeAgain(): Promise<void> {
    const texts = [...this.#written].flatMap(([key, { text }]) => (text === '' ? [] : [{ key, text }]));
    for (let at = 0; at < texts.length; at += PAGE) await this.#write(texts.slice(at, at + PAGE));
  }

  /** One command for all of them: hundreds of their own would hold every call up for as long as they take to build. */
  #write(copies: readonly Copy[]): Promise<unknown> {
    const all = [{ key: this.#anyKey, text: '1' }, ...copies];
    const keys = all.map(({ key }) => key);
    const texts = all.map(({ text }) => text);
    return this.#redis.client.eval(KEEP, keys.length, ...keys, LIFETIME_SECONDS, ...texts);
  }

  get #anyKey(): string {
    return `${keyPrefix(this.#site)}:terminal-copies`;
  }

  #key(by: TerminalName, name: string): string {
    return `${keyPrefix(this.#site)}:terminal:${by}:${name}`;
  }
}
