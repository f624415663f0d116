import { type Micros, micros } from '../domain/micros.ts';

export type Clock = () => Micros;

const BASE = process.hrtime.bigint();
const START_MS = Date.now();
const STEP_MS = 2;

/**
 * The wall clock in microseconds. Between the milliseconds of Date.now() the monotonic clock counts; when the two part
 * by more than 2 ms the wall clock was stepped, and it wins.
 */
export const systemClock: Clock = (() => {
  let offsetMs = 0;
  return () => {
    const elapsedMs = Number(process.hrtime.bigint() - BASE) / 1e6;
    const wallMs = Date.now();
    if (Math.abs(START_MS + elapsedMs + offsetMs - wallMs) > STEP_MS)
      offsetMs = wallMs - START_MS - elapsedMs;
    return micros(Math.round((START_MS + elapsedMs + offsetMs) * 1000));
  };
})();
