import { expect, test } from 'vitest';
import { AlertStates } from '../../../services/coordinator/alerts/alert-states.ts';
import { type EventName, type LastcallEvent, lastcallEvent } from '../../../shared/domain/alert.ts';

const MINUTE = 60_000;
const LIMITS = { repeatMs: 15 * MINUTE, most: 3, windowMs: 10 * MINUTE };
const of = (event: EventName, reason: string | null = null): LastcallEvent =>
  lastcallEvent(event, 'b', { reason });

type Step = readonly [minute: number, event: LastcallEvent | 'tick', told: readonly string[]];

/** Times in minutes; what is told as `phase event`. */
test.each<readonly [string, readonly Step[]]>([
  [
    'a second outage soon after the first is told, and so is each end',
    [
      [0, of('site-unreachable'), ['begin site-unreachable']],
      [1, of('site-reachable'), ['end site-reachable']],
      [2, of('site-unreachable'), ['begin site-unreachable']],
      [3, of('site-reachable'), ['end site-reachable']],
    ],
  ],
  [
    'whoever is told is told again while it lasts, and no more after its end',
    [
      [0, of('replication-stopped'), ['begin replication-stopped']],
      [14, 'tick', []],
      [15, 'tick', ['reminder replication-stopped']],
      [16, 'tick', []],
      [30, 'tick', ['reminder replication-stopped']],
      [31, of('replication-started'), ['end replication-started']],
      [60, 'tick', []],
    ],
  ],
  [
    'the same trouble seen again is no second one',
    [
      [0, of('journal-in-use'), ['begin journal-in-use']],
      [1, of('journal-in-use'), []],
    ],
  ],
  [
    'a standstill that becomes worse is told as what it is now',
    [
      [0, of('replication-stopped'), ['begin replication-stopped']],
      [1, of('needs-resync', 'gap'), ['begin needs-resync']],
      [2, of('replication-started'), ['end replication-started']],
    ],
  ],
  [
    'beyond the limit only what is critical is told, and what was held back as soon as there is room',
    [
      [0, of('salvaged'), ['once salvaged']],
      [0, of('failover-begun'), ['once failover-begun']],
      [0, of('clock-skew'), ['begin clock-skew']],
      [1, of('journal-in-use'), []],
      [1, of('two-primaries'), ['begin two-primaries']],
      [1, of('failover-ended', 'failed'), ['once failover-ended']],
      [2, of('clock-right'), ['end clock-right']],
      [9, 'tick', []],
      [12, 'tick', ['begin journal-in-use']],
    ],
  ],
  [
    'what began and ended unheard is not told as an end',
    [
      [0, of('salvaged'), ['once salvaged']],
      [0, of('salvaged'), ['once salvaged']],
      [0, of('salvaged'), ['once salvaged']],
      [1, of('journal-in-use'), []],
      [2, of('journal-drained'), []],
      [20, 'tick', []],
    ],
  ],
])('%s', (_name, steps) => {
  const states = new AlertStates(LIMITS);
  for (const [minute, event, told] of steps) {
    const tellings = event === 'tick' ? states.tick(minute * MINUTE) : states.take(event, minute * MINUTE);
    expect(
      tellings.map(({ phase, event: { event: name } }) => `${phase} ${name}`),
      `at minute ${minute}`,
    ).toEqual(told);
  }
});

test('two-primaries is told after any number of other events', () => {
  const states = new AlertStates({ ...LIMITS, most: 30 });
  for (let n = 0; n < 100; n++) states.take(of('failover-begun', String(n)), n);
  expect(states.take(of('two-primaries'), 101)).toMatchObject([{ phase: 'begin', withheld: 70 }]);
});

test('a telling that nobody got is told again at the next tick, with the time of its begin', () => {
  const states = new AlertStates(LIMITS);
  const [telling] = states.take(of('site-unreachable'), MINUTE);
  expect(states.tick(2 * MINUTE)).toEqual([]);
  if (telling) states.failed(telling);
  expect(states.tick(2 * MINUTE)).toMatchObject([{ phase: 'begin', sinceMs: MINUTE }]);
});
