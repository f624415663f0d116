import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseFreshest, type Source } from '../../../shared/domain/choose-freshest.ts';
import { type ForgetMark, forgottenUntil, withoutForgotten } from '../../../shared/domain/forget.ts';
import { recordDate } from '../../../shared/domain/last-call-record.ts';
import {
  callGroup,
  emptyLastCalls,
  type LastCalls,
  mergeLastCalls,
} from '../../../shared/domain/last-calls.ts';
import { type Micros, micros } from '../../../shared/domain/micros.ts';

/** One version of an origin's table and marks, as replication carries it. */
interface Version {
  readonly row: LastCalls;
  readonly marks: readonly ForgetMark[];
}

type SiteName = 'a' | 'b';
const other = (site: SiteName): SiteName => (site === 'a' ? 'b' : 'a');
const NEVER = micros(Number.NEGATIVE_INFINITY);

/** Two sites with one terminal each, their clocks apart; `own` goes out, `copy` comes in, versions may come again. */
class Sites {
  readonly own = { a: emptyLastCalls(7), b: emptyLastCalls(7) };
  readonly copy = { a: emptyLastCalls(7), b: emptyLastCalls(7) };
  readonly marks: Record<SiteName, ForgetMark[]> = { a: [], b: [] };
  readonly sent: Record<SiteName, Version[]> = { a: [], b: [] };
  #now = 100;

  clock(site: SiteName): Micros {
    return micros(this.#now++ + (site === 'b' ? -20 : 0));
  }

  freshest(site: SiteName): Micros {
    const own = this.own[site].dialed?.at ?? NEVER;
    const copy = this.copy[site].dialed?.at ?? NEVER;
    return micros(Math.max(own, copy, forgottenUntil('dialed', this.marks[site])));
  }

  record(site: SiteName): void {
    const at = recordDate(this.clock(site), this.freshest(site));
    this.own[site] = mergeLastCalls(this.own[site], {
      ...emptyLastCalls(7),
      dialed: callGroup(at, { number: '1' }),
    });
    this.send(site);
  }

  forget(site: SiteName): void {
    this.mark(site, { scope: 'all', forgottenAt: micros(Math.max(this.clock(site), this.freshest(site))) });
    this.send(site);
  }

  mark(site: SiteName, mark: ForgetMark): void {
    this.marks[site].push(mark);
    this.own[site] = withoutForgotten(this.own[site], this.marks[site]);
  }

  send(site: SiteName): void {
    this.sent[site].push({ row: this.own[site], marks: [...this.marks[site]] });
  }

  /** Any version sent so far arrives, also one that has arrived before. */
  arrive(site: SiteName, which: number): void {
    const versions = this.sent[other(site)];
    const version = versions[which % Math.max(1, versions.length)];
    if (!version) return;
    for (const mark of version.marks) this.mark(site, mark);
    this.copy[site] = mergeLastCalls(this.copy[site], version.row);
  }

  shown(site: SiteName): Micros {
    const sources: Source[] = [
      { site, row: this.own[site] },
      { site: other(site), row: this.copy[site] },
    ];
    const choice = chooseFreshest(['dialed'], sources, this.marks[site]);
    return choice.kind === 'number' ? choice.entry.at : NEVER;
  }
}

describe('I2 a reader at any site', () => {
  const aStep = fc.record({
    kind: fc.constantFrom('record', 'record', 'arrive', 'arrive', 'forget'),
    site: fc.constantFrom<SiteName[]>('a', 'b'),
    which: fc.nat(20),
  });

  it('never sees an older date than before, only one that was forgotten, whatever arrives in whatever order', () => {
    fc.assert(
      fc.property(fc.array(aStep, { minLength: 1, maxLength: 40 }), (steps) => {
        const sites = new Sites();
        const seen = { a: NEVER, b: NEVER };
        for (const { kind, site, which } of steps) {
          if (kind === 'record') sites.record(site);
          else if (kind === 'forget') sites.forget(site);
          else sites.arrive(site, which);
          for (const reader of ['a', 'b'] as const) {
            const shown = sites.shown(reader);
            const forgotten = forgottenUntil('dialed', sites.marks[reader]);
            expect(Math.max(shown, forgotten)).toBeGreaterThanOrEqual(seen[reader]);
            if (shown !== NEVER) expect(shown).toBeGreaterThan(forgotten);
            seen[reader] = micros(Math.max(shown, forgotten, seen[reader]));
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('R13 sees its own site’s newest call at once, however slow the clock', () => {
    fc.assert(
      fc.property(
        fc.array(aStep, { maxLength: 30 }),
        fc.constantFrom<SiteName[]>('a', 'b'),
        (steps, last) => {
          const sites = new Sites();
          for (const { kind, site, which } of steps) {
            if (kind === 'record') sites.record(site);
            else if (kind === 'forget') sites.forget(site);
            else sites.arrive(site, which);
          }
          const before = sites.shown(last);
          sites.record(last);
          expect(sites.shown(last)).toBeGreaterThan(before);
        },
      ),
    );
  });
});
