/** Which share of new requests is let in, from 0 to 1, beyond those few of a round that always are. */
export interface Admittance {
  readonly registrations: number;
  readonly calls: number;
  /** Rounds in a row in which the processor never rested while many asked. */
  readonly busyRounds: number;
  /** In one of those rounds something was lost. */
  readonly lost: boolean;
}

export const EVERYBODY: Admittance = { registrations: 1, calls: 1, busyRounds: 0, lost: false };

/** What a round was like: the share of it that the process worked, and how many asked. */
export interface Round {
  readonly utilisation: number;
  readonly registrations: number;
  readonly calls: number;
  /** Datagrams that nobody had time to read. */
  readonly lost: number;
}

/** So many of each kind a round are let in whatever happens: not they are what saturates it. */
export const FEW = 10;

/** Of a round, that the process worked: beyond it, its queue grows; below the other one there is room. */
const SATURATED = 0.98;
const ROOM = 0.92;
/** A page of terminals or a collection of garbage takes less. */
const PATIENCE_ROUNDS = 3;
const FEWEST = 0.02;
const STEP_UP = 0.05;

/**
 * What is let in for the next round. A process that is saturated and loses what comes in lets in fewer registrations first, since phones repeat them, and
 * fewer calls once that is not enough; calls come back first. A flood of one kind costs the other nothing.
 */
export function nextAdmittance(now: Admittance, round: Round): Admittance {
  const { calls, registrations, utilisation } = round;
  const many = calls > FEW || registrations > FEW;
  if (many && utilisation >= SATURATED) {
    const lost = now.lost || round.lost > 0;
    return fewer({ ...now, busyRounds: now.busyRounds + 1, lost }, round);
  }
  const rested = { ...now, busyRounds: 0, lost: false };
  if (many && utilisation > ROOM) return rested;
  if (now.calls < 1) return { ...rested, calls: Math.min(1, now.calls + STEP_UP) };
  return { ...rested, registrations: Math.min(1, now.registrations + STEP_UP) };
}

function fewer(now: Admittance, { calls, registrations }: Round): Admittance {
  if (now.busyRounds < PATIENCE_ROUNDS || !now.lost) return now;
  if (registrations > FEW && now.registrations > FEWEST)
    return { ...now, registrations: Math.max(FEWEST, now.registrations / 2) };
  return calls > FEW ? { ...now, calls: Math.max(FEWEST, now.calls * 0.8) } : now;
}
