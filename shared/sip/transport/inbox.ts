/** A datagram that waits for its turn. */
export interface Waiting {
  readonly bytes: Buffer;
  readonly address: string;
  readonly port: number;
  /** `performance.now()` when it was read from the socket. */
  readonly cameMs: number;
}

export interface InboxOptions {
  /** Nothing it does may throw. */
  readonly take: (datagram: Waiting) => void;
  /** A datagram for which there was no room. */
  readonly onOverflow: () => void;
}

const [C, E, G, I, M, N, O, R, S, U, V] = Buffer.from('CEGIMNORSUV');

/** How much of a round each kind gets while others wait as well: what belongs to a call under way first, registrations last. */
const SHARES = [16, 4, 1] as const;
type Kind = 0 | 1 | 2;

/** After so long the socket is read again: its buffer holds a fraction of a second only. */
const SLICE_MS = 1;
const MOST_WAITING = 20_000;
/** The event loop reads so many at most before it lets anything else run: then more may wait in the socket. */
const FULL_READ = 32;
/** So often in a row reading goes on before anything is worked off. */
const MOST_READS = 4;

/**
 * What came in over UDP and was not looked at yet. The socket is emptied as fast as the kernel fills it, so that under too
 * much load the queue stands here, where its age is known and calls under way pass it, and not in a buffer that drops
 * whatever comes last.
 */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #queues = [new Fifo(), new Fifo(), new Fifo()] as const;
  #scheduled = false;
  #closed = false;
  /** Since the last time that the loop came round. */
  #read = 0;
  #reads = 0;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  put(bytes: Buffer, address: string, port: number): void {
    this.#read++;
    const queue = this.#queues[kindOf(bytes)];
    if (queue.length >= MOST_WAITING) this.#options.onOverflow();
    else queue.push({ bytes, address, port, cameMs: performance.now() });
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    setImmediate(() => this.#work());
  }

  #work(): void {
    this.#scheduled = false;
    const moreToRead = this.#read >= FULL_READ && ++this.#reads < MOST_READS;
    this.#read = 0;
    if (moreToRead) {
      this.#schedule();
      return;
    }
    this.#reads = 0;
    const endMs = performance.now() + SLICE_MS;
    let more = true;
    while (more && !this.#closed && performance.now() < endMs) more = this.#round();
    if (more) this.#schedule();
  }

  /** False when nothing waits any more. */
  #round(): boolean {
    let took = false;
    for (const [kind, queue] of this.#queues.entries())
      for (let left = SHARES[kind] ?? 0; left > 0; left--) {
        const datagram = queue.shift();
        if (datagram === undefined) break;
        took = true;
        this.#options.take(datagram);
      }
    return took;
  }
}

/**
 * By the first letters, for nothing is parsed yet: 0 responses and what goes along a dialog, 1 what may found one, with
 * the CANCEL that must not overtake its INVITE, 2 REGISTER.
 */
function kindOf(bytes: Buffer): Kind {
  const [first, second] = bytes;
  if (first === R && second === E && bytes[2] === G) return 2;
  const founds = (first === I && second === N && bytes[2] === V) || first === C || first === O || first === M;
  return founds || (first === S && second === U) ? 1 : 0;
}

/** First in, first out, without moving what waits at each step. */
class Fifo {
  #waiting: Waiting[] = [];
  #head = 0;

  get length(): number {
    return this.#waiting.length - this.#head;
  }

  push(datagram: Waiting): void {
    this.#waiting.push(datagram);
  }

  shift(): Waiting | undefined {
    const datagram = this.#waiting[this.#head];
    if (datagram === undefined) return undefined;
    this.#head++;
    if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
    } else if (this.#head > COMPACTED) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return datagram;
  }
}

const COMPACTED = 1_024;
