/** Which share of new requests is let in, from 0 to 1. */
export interface Admittance {
  readonly registrations: number;
  readonly calls: number;
  /** Rounds in a row in which the processor never rested. */
  readonly busyRounds: number;
}

export const EVERYBODY: Admittance = { registrations: 1, calls: 1, busyRounds: 0 };

/** Of a round, that the process worked: beyond it, its queue grows; below the other one there is room. */
const SATURATED = 0.98;
const ROOM = 0.92;
/** A page of terminals or a collection of garbage takes less. */
const PATIENCE_ROUNDS = 3;
const FEWEST_CALLS = 0.02;
const FEWEST_REGISTRATIONS = 0.05;
const STEP_UP = 0.05;

/**
 * What is let in for the next round, by how busy the process was in the last one. A saturated process lets in fewer
 * registrations first, since phones repeat them, and fewer calls once that is not enough; calls come back first.
 */
export function nextAdmittance(now: Admittance, utilisation: number): Admittance {
  if (utilisation >= SATURATED) return fewer({ ...now, busyRounds: now.busyRounds + 1 });
  const rested = { ...now, busyRounds: 0 };
  if (utilisation > ROOM) return rested;
  if (now.calls < 1) return { ...rested, calls: Math.min(1, now.calls + STEP_UP) };
  return { ...rested, registrations: Math.min(1, now.registrations + STEP_UP) };
}

function fewer(now: Admittance): Admittance {
  if (now.busyRounds < PATIENCE_ROUNDS) return now;
  const registrations = Math.max(FEWEST_REGISTRATIONS, now.registrations / 2);
  if (now.registrations > FEWEST_REGISTRATIONS) return { ...now, registrations };
  return { ...now, calls: Math.max(FEWEST_CALLS, now.calls * 0.8) };
}
