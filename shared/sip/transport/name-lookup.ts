import { lookup } from 'node:dns/promises';
import { guarded } from '../guarded.ts';

export interface NameLookupOptions {
  /** Hears what a callback threw. */
  readonly onFault: (error: unknown) => void;
  /** Answers the address of a name, or rejects; getaddrinfo unless given. */
  readonly ask?: (name: string) => Promise<string>;
  readonly limits?: Partial<NameLookupLimits>;
}

export interface NameLookupLimits {
  /** Asked at the same time: node has four threads for this and for files. */
  readonly atOnce: number;
  /** Names that wait for their turn; one more is an error at once. */
  readonly queued: number;
  /** Callbacks that wait for one name. */
  readonly waiting: number;
  readonly deadlineMs: number;
  readonly cacheMs: number;
  /** A name that did not resolve is not asked again so long. */
  readonly failureCacheMs: number;
  readonly cachedNames: number;
}

const DEFAULT_LIMITS: NameLookupLimits = {
  atOnce: 3,
  queued: 200,
  waiting: 1_000,
  deadlineMs: 5_000,
  cacheMs: 30_000,
  failureCacheMs: 5_000,
  cachedNames: 1_000,
};

type Found = string | Error;

interface Known {
  readonly found: Found;
  readonly until: number;
}

interface Pending {
  readonly callbacks: ((found: Found) => void)[];
  readonly deadline: NodeJS.Timeout;
}

/**
 * Looks names up (A and AAAA). Whatever messages name, only so much is asked and kept: each name once at a time and not again
 * while its answer, failures included, is fresh; a few at once; the others queue, up to a bound; all within a deadline.
 */
export class NameLookup {
  readonly #onFault: (error: unknown) => void;
  readonly #ask: (name: string) => Promise<string>;
  readonly #limits: NameLookupLimits;
  readonly #known = new Map<string, Known>();
  readonly #pending = new Map<string, Pending>();
  readonly #queue: string[] = [];
  #asking = 0;

  constructor({ ask, limits, onFault }: NameLookupOptions) {
    this.#onFault = onFault;
    this.#ask = ask ?? (async (name) => (await lookup(name)).address);
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /** Names asked for or waiting, and answers kept. */
  get size(): { readonly pending: number; readonly asking: number; readonly known: number } {
    return { pending: this.#pending.size, asking: this.#asking, known: this.#known.size };
  }

  /** Calls back once: at once when the answer is known or cannot be had, else within the deadline. */
  find(name: string, done: (found: Found) => void): void {
    const known = this.#known.get(name);
    if (known !== undefined && known.until > performance.now()) {
      done(known.found);
      return;
    }
    const pending = this.#pending.get(name);
    if (pending !== undefined) {
      if (pending.callbacks.length < this.#limits.waiting) pending.callbacks.push(done);
      else done(new Error('too many wait for this name'));
    } else if (this.#queue.length >= this.#limits.queued)
      done(new Error('too many names wait to be looked up'));
    else this.#begin(name, done);
  }

  #begin(name: string, done: (found: Found) => void): void {
    const deadline = setTimeout(
      () => this.#settle(name, new Error('the name was not resolved in time')),
      this.#limits.deadlineMs,
    );
    this.#pending.set(name, { callbacks: [done], deadline: deadline.unref() });
    this.#queue.push(name);
    this.#askNext();
  }

  #askNext(): void {
    while (this.#asking < this.#limits.atOnce) {
      const name = this.#queue.shift();
      if (name === undefined) return;
      // It may have waited longer than its deadline.
      if (this.#pending.has(name)) this.#askFor(name);
    }
  }

  /** A look-up cannot be called back: it keeps its turn until it ends, also past the deadline. */
  #askFor(name: string): void {
    this.#asking++;
    this.#ask(name)
      .then(
        (address) => this.#settle(name, address),
        (cause: unknown) => this.#settle(name, new Error('the name does not resolve', { cause })),
      )
      .finally(() => {
        this.#asking--;
        this.#askNext();
      });
  }

  #settle(name: string, found: Found): void {
    const pending = this.#pending.get(name);
    this.#pending.delete(name);
    clearTimeout(pending?.deadline);
    this.#remember(name, found);
    for (const done of pending?.callbacks ?? []) guarded(this.#onFault, done)(found);
  }

  #remember(name: string, found: Found): void {
    const { cachedNames, cacheMs, failureCacheMs } = this.#limits;
    this.#known.delete(name);
    if (this.#known.size >= cachedNames) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    const freshMs = found instanceof Error ? failureCacheMs : cacheMs;
    this.#known.set(name, { found, until: performance.now() + freshMs });
  }
}
