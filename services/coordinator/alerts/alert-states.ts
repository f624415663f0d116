/**
 * What one receiver has been told, and what it is told next. Pure: events and time in, tellings out.
 *
 * Invariants: of a trouble the last thing told is how it stands; while it lasts it is told again; one that began after the
 * last one ended is told, however soon; no limit holds back what is critical, nor the end of what was told.
 */
import {
  endOf,
  isCritical,
  type LastcallEvent,
  lastcallEvent,
  type Phase,
  troubleOf,
} from '../../../shared/domain/alert.ts';

export interface AlertLimits {
  /** A trouble that lasts is told again after this time. */
  readonly repeatMs: number;
  /** No more than this many of what is not critical within `windowMs`. */
  readonly most: number;
  readonly windowMs: number;
}

export interface Telling {
  readonly event: LastcallEvent;
  readonly phase: Phase;
  /** The trouble it is about; null with `once`. */
  readonly trouble: string | null;
  /** When the trouble began, in the time of `nowMs`; null with `once`. */
  readonly sinceMs: number | null;
  /** Tellings held back since the last one. */
  readonly withheld: number;
}

/** Kept over a restart, when the times are of a clock that goes on meanwhile. */
export interface OpenTrouble {
  readonly event: LastcallEvent;
  readonly sinceMs: number;
  /** Null while it was held back. */
  readonly toldAtMs: number | null;
}

/** One receiver's. */
export class AlertStates {
  readonly #limits: AlertLimits;
  readonly #open = new Map<string, OpenTrouble>();
  /** Restored, and not seen since. */
  readonly #unseen = new Set<string>();
  #recentMs: number[] = [];
  #withheld = 0;

  constructor(limits: AlertLimits) {
    this.#limits = limits;
  }

  get open(): readonly OpenTrouble[] {
    return [...this.#open.values()];
  }

  /** What was told before this process began. What began since stands. */
  restore(troubles: readonly OpenTrouble[]): void {
    for (const trouble of troubles) {
      const key = troubleOf(trouble.event)?.key;
      if (key === undefined || this.#open.has(key)) continue;
      this.#open.set(key, trouble);
      this.#unseen.add(key);
    }
  }

  /** All that lasts has been seen: what was restored and was not among it is over. Of a site that is not seen nobody knows. */
  settle(nowMs: number): Telling[] {
    return [...this.#unseen].flatMap((key) => {
      const event = this.#open.get(key)?.event;
      const end = event && endOf(event);
      const isSeen = event && !this.#open.has(siteTrouble(event.site));
      return end && (isSeen || this.#unseen.has(siteTrouble(end.site))) ? this.take(end, nowMs) : [];
    });
  }

  take(event: LastcallEvent, nowMs: number): Telling[] {
    const trouble = troubleOf(event);
    if (trouble) this.#unseen.delete(trouble.key);
    if (!trouble) return this.#tell({ event, phase: 'once', trouble: null, sinceMs: null }, nowMs);
    return trouble.part === 'begin'
      ? this.#begin(trouble.key, event, nowMs)
      : this.#end(trouble.key, event, nowMs);
  }

  /** What is due by the time alone: reminders, and what was held back. */
  tick(nowMs: number): Telling[] {
    return [...this.#open].flatMap(([trouble, { event, sinceMs, toldAtMs }]) => {
      if (toldAtMs !== null && nowMs - toldAtMs < this.#limits.repeatMs) return [];
      const phase = toldAtMs === null ? 'begin' : 'reminder';
      // Held back before, it was counted then.
      const told = this.#admits(event, nowMs) ? this.#tell({ event, phase, trouble, sinceMs }, nowMs) : [];
      if (told.length > 0) this.#open.set(trouble, { event, sinceMs, toldAtMs: nowMs });
      return told;
    });
  }

  /** Nobody got it: it is told again at the next tick. */
  failed({ trouble }: Telling): void {
    const open = trouble === null ? undefined : this.#open.get(trouble);
    if (open) this.#open.set(trouble as string, { ...open, toldAtMs: null });
  }

  #begin(trouble: string, event: LastcallEvent, nowMs: number): Telling[] {
    const before = this.#open.get(trouble);
    const sinceMs = before?.sinceMs ?? nowMs;
    const known = before && before.toldAtMs !== null && before.event.event === event.event;
    const told = known ? [] : this.#tell({ event, phase: 'begin', trouble, sinceMs }, nowMs);
    const toldAtMs = told.length > 0 ? nowMs : (before?.toldAtMs ?? null);
    this.#open.set(trouble, { event, sinceMs, toldAtMs });
    return told;
  }

  #end(trouble: string, event: LastcallEvent, nowMs: number): Telling[] {
    const before = this.#open.get(trouble);
    this.#open.delete(trouble);
    if (!before) return this.#tell({ event, phase: 'once', trouble: null, sinceMs: null }, nowMs);
    if (before.toldAtMs === null) return [];
    return [this.#told({ event, phase: 'end', trouble, sinceMs: before.sinceMs }, nowMs)];
  }

  #tell(telling: Omit<Telling, 'withheld'>, nowMs: number): Telling[] {
    if (this.#admits(telling.event, nowMs)) return [this.#told(telling, nowMs)];
    this.#withheld++;
    return [];
  }

  #admits(event: LastcallEvent, nowMs: number): boolean {
    const { most, windowMs } = this.#limits;
    this.#recentMs = this.#recentMs.filter((atMs) => nowMs - atMs < windowMs);
    return isCritical(event) || this.#recentMs.length < most;
  }

  #told(telling: Omit<Telling, 'withheld'>, nowMs: number): Telling {
    if (!isCritical(telling.event)) this.#recentMs.push(nowMs);
    const withheld = this.#withheld;
    this.#withheld = 0;
    return { ...telling, withheld };
  }
}

const siteTrouble = (site: string): string => troubleOf(lastcallEvent('site-unreachable', site))?.key ?? '';
