import type { DemoTerminal } from '../../../services/lab/demo-terminals.ts';

/** Terminals of a household, which follow each other. */
export const MEMBERS = 3;

export interface PlannedCall {
  readonly caller: DemoTerminal;
  /** A number or star code. */
  readonly dialed: string;
}

/** Until every member of a household has called both of the others. */
const PAIRS = 6;

/**
 * Each household's calls: somebody dials another one, dials `*52`, and is called back by that one's `*69`; then the next pair.
 * All households in turn, so that one's next call comes when its last has long ended and the freshest numbers are known exactly.
 * The list begins with the pair of this number.
 */
export function householdCalls(terminals: readonly DemoTerminal[], firstPair: number): PlannedCall[] {
  const households = Array.from({ length: terminals.length / MEMBERS }, (_, index) =>
    terminals.slice(MEMBERS * index, MEMBERS * (index + 1)),
  );
  return Array.from({ length: PAIRS }, (_, index) => {
    const pair = (firstPair + index) % PAIRS;
    const member = (household: readonly DemoTerminal[], place: number) =>
      household[place % MEMBERS] as DemoTerminal;
    const callers = households.map((household) => member(household, pair));
    const callees = households.map((household) => member(household, pair + 1 + (pair % 2)));
    return [
      ...callers.map((caller, index) => ({ caller, dialed: callees[index]?.number ?? '' })),
      ...callers.map((caller) => ({ caller, dialed: '*52' })),
      ...callees.map((caller) => ({ caller, dialed: '*69' })),
    ];
  }).flat();
}
