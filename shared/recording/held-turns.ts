import type { Lsn } from '../domain/lsn.ts';
import type { PeersPosition } from '../postgres/last-calls/peers-position.ts';

interface Ended {
  readonly turn: number;
  readonly written: Lsn;
  readonly atMs: number;
}

/** Rounds remembered while peers are away; the turns between two of them are held when the later one is. */
const REMEMBERED = 1_000;

/**
 * Which turns of writing every peer holds (rule 30): each turn's end has a place in this site's log, and is held once
 * the peers' position has passed it. A place is of one primary only: with its loss all are forgotten.
 */
export class HeldTurns {
  readonly #aloneMs: number;
  #ended: Ended[] = [];
  #lineage = 0;

  /** `aloneMs`: how long a turn is remembered where there is no peer. */
  constructor(aloneMs: number) {
    this.#aloneMs = aloneMs;
  }

  /**
   * To be called before the position is read, with the turn that ended by then. What it returns takes the position, with
   * monotonic milliseconds, and returns the last turn held; null when none is, or the database was lost meanwhile.
   */
  ask(turn: number): (position: PeersPosition, nowMs: number) => number | null {
    const lineage = this.#lineage;
    return ({ written, held, peers }, nowMs) => {
      if (lineage !== this.#lineage) return null;
      this.#ended.push({ turn, written, atMs: nowMs });
      if (this.#ended.length > REMEMBERED) this.#ended = this.#ended.filter((_, index) => index % 2 === 1);
      const isHeld = (ended: Ended) =>
        peers === 0 ? nowMs - ended.atMs >= this.#aloneMs : held !== null && ended.written <= held;
      const last = this.#ended.findLastIndex(isHeld);
      if (last < 0) return null;
      return this.#ended.splice(0, last + 1).at(-1)?.turn ?? null;
    };
  }

  clear(): void {
    this.#lineage++;
    this.#ended = [];
  }
}
