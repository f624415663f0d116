/** A call as both ends saw it. Times are milliseconds since 1970, by one clock. */
export interface Call {
  readonly callId: string;
  /** Whose server it went through, and whose tables hold its record. */
  readonly site: string;
  readonly caller: string;
  /** A number, `*52` or `*69`. */
  readonly dialed: string;
  readonly beganMs: number;
  /** When its final response came or the caller gave up; infinite when nobody knows. */
  readonly endedMs: number;
  /** Of the final response; null when none came. */
  readonly status: number | null;
  /** The numbers whose phones got the INVITE. */
  readonly reached: readonly string[];
}

/** Somebody asks, without a call, whom a star code would call. */
export interface Look extends Interval {
  readonly site: string;
  readonly subscriber: string;
  readonly group: Group;
  /** Null: nobody is known. */
  readonly found: string | null;
}

/**
 * `wrong`: it reached somebody whose number cannot have been the freshest. `refused`: a star code got 480 or 503 although
 * there was a number. `failed`: no final response, or another one than the busy phone's.
 */
export type Verdict = 'right' | 'wrong' | 'refused' | 'failed';

export interface Judgement {
  readonly call: Call;
  readonly verdict: Verdict;
  /** What it may rightly have reached; null is nobody, since no number was known yet. */
  readonly expected: ReadonlySet<string | null>;
}

/** What a subscriber's `*52` and `*69` look up. */
export type Group = 'dialed' | 'missed';

type Interval = Pick<Call, 'beganMs' | 'endedMs'>;
type Reader = Interval & {
  /** Where it reads; null once every site knows what the others know. */
  readonly site: string | null;
};

/** A number that became some group's freshest at some moment of the interval, or, unless `sure`, perhaps never. */
interface Write extends Interval {
  readonly call: Call;
  readonly number: string;
  readonly sure: boolean;
}

const BUSY = 486;
const LOOKED_UP: Readonly<Record<string, Group>> = { '*52': 'dialed', '*69': 'missed' };

/**
 * What the freshest number of each group may have been at any time. A call writes its caller's dialed and its callee's missed
 * group at an unknown moment between its begin and its end; it is sure once the caller has heard its final response. So a
 * reader may find every write that began before the reader ended, except one that was over before another, sure one began
 * that itself was over at the reader's own site before the reader began. What another site wrote may be there or not yet.
 */
export class FreshestModel {
  readonly #writes = new Map<string, Write[]>();

  /** Adds calls that no earlier one outlasts, and judges each against all that went on around it. */
  judge(calls: readonly Call[]): Judgement[] {
    const inOrder = calls.toSorted((one, other) => one.beganMs - other.beganMs);
    for (const call of inOrder) this.#record(call);
    return inOrder.map((call) => {
      const expected = this.#expected(call);
      return { call, expected, verdict: verdictOf(call, expected) };
    });
  }

  /** What a look at any site may find at that moment, after all calls and once every site knows of them. */
  at(group: Group, subscriber: string, atMs: number): ReadonlySet<string | null> {
    return this.#possible(group, subscriber, { beganMs: atMs, endedMs: atMs, site: null }, () => false);
  }

  /** What it may rightly have found. Every call that it may have heard of has been judged. */
  expectedOf({ group, subscriber, ...reader }: Look): ReadonlySet<string | null> {
    return this.#possible(group, subscriber, reader, () => false);
  }

  #expected(call: Call): ReadonlySet<string | null> {
    const group = LOOKED_UP[call.dialed];
    if (group === undefined) return new Set([call.dialed]);
    // Its own write is no reason for what it read. Nor is that of a later redial, which only repeats what was known.
    const repeats = (write: Write): boolean =>
      write.call === call ||
      (group === 'dialed' && write.call.dialed === call.dialed && write.beganMs >= call.beganMs);
    return this.#possible(group, call.caller, call, repeats);
  }

  #possible(
    group: Group,
    subscriber: string,
    reader: Reader,
    isNoReason: (write: Write) => boolean,
  ): ReadonlySet<string | null> {
    const writes = this.#writes.get(`${group} ${subscriber}`) ?? [];
    const isHere = ({ call }: Write): boolean => reader.site === null || call.site === reader.site;
    const over = writes.filter((write) => write.sure && write.endedMs < reader.beganMs && isHere(write));
    const lastBeganMs = Math.max(...over.map(({ beganMs }) => beganMs));
    const found = writes.filter(
      (write) => write.beganMs <= reader.endedMs && write.endedMs >= lastBeganMs && !isNoReason(write),
    );
    return new Set([...(over.length === 0 ? [null] : []), ...found.map((write) => write.number)]);
  }

  /** Calls are recorded in the order of their begins: what an unheard star code may have dialed is known by then. */
  #record(call: Call): void {
    const { caller, reached, beganMs, endedMs } = call;
    const sure = call.status === BUSY && reached.length === 1;
    const write = { call, beganMs, endedMs, sure };
    const callees = reached.length > 0 ? reached : [...this.#expected(call)].filter((each) => each !== null);
    for (const callee of callees) {
      this.#add('dialed', caller, { ...write, number: callee });
      this.#add('missed', callee, { ...write, number: caller });
    }
  }

  #add(group: Group, subscriber: string, write: Write): void {
    const key = `${group} ${subscriber}`;
    const writes = this.#writes.get(key);
    if (writes) writes.push(write);
    else this.#writes.set(key, [write]);
  }
}

function verdictOf({ dialed, status, reached }: Call, expected: ReadonlySet<string | null>): Verdict {
  if (reached.some((number) => !expected.has(number)) || new Set(reached).size > 1) return 'wrong';
  if (status === BUSY && reached.length > 0) return 'right';
  if (!(dialed in LOOKED_UP) || (status !== 480 && status !== 503)) return 'failed';
  return status === 480 && expected.has(null) ? 'right' : 'refused';
}
