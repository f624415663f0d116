import { describe, expect, it } from 'vitest';
import { TimerWheel } from '../../../shared/sip/transaction/timer-wheel.ts';

describe('timer wheel', () => {
  it('fires in order of time, never early, at most one tick late, whatever the steps', () => {
    for (const stepMs of [1, 7, 10, 333, 100_000]) {
      const wheel = new TimerWheel();
      let nowMs = 0;
      const fired: number[] = [];
      for (const delayMs of [0, 10, 500, 501, 40_950, 40_960, 41_000, 185_000]) {
        const onTimer = (): void => {
          fired.push(delayMs);
          expect(nowMs).toBeGreaterThanOrEqual(delayMs);
          expect(nowMs - delayMs).toBeLessThanOrEqual(stepMs + 10);
        };
        wheel.schedule(delayMs, { onTimer }, 'x');
      }
      while (wheel.armed > 0) {
        nowMs += stepMs;
        wheel.advance(stepMs);
      }
      expect(fired).toEqual([0, 10, 500, 501, 40_950, 40_960, 41_000, 185_000]);
    }
  });

  it('a task may cancel and arm timers, also of its own tick', () => {
    const wheel = new TimerWheel();
    const fired: string[] = [];
    const onTimer = (kind: string): void => {
      fired.push(kind);
      if (kind !== 'a') return;
      wheel.cancel(second);
      wheel.schedule(0, { onTimer }, 'c');
    };
    wheel.schedule(20, { onTimer }, 'a');
    const second = wheel.schedule(20, { onTimer }, 'b');
    wheel.advance(20);
    expect(fired).toEqual(['a']);
    wheel.advance(20);
    expect(fired).toEqual(['a', 'c']);
    wheel.cancel(second);
    expect(wheel.armed).toBe(0);
  });
});
