import type { DemoTerminal } from '../../../services/lab/demo-terminals.ts';

/** Terminals of a household, which follow each other. */
export const MEMBERS = 3;

export interface PlannedCall {
  readonly caller: DemoTerminal;
  /** A number or star code. */
  readonly dialed: string;
  /** Whose server they dial it at. */
  readonly site: string;
}

/** Until every member of a household has called both of the others. */
const PAIRS = 6;

/**
 * Each household's calls: somebody dials another one, dials `*52`, and is called back by that one's `*69`; then the next pair,
 * at the next site: so a star code finds the fresh number in its own site's table and an older one in another's.
 * All households in turn, so that one's next call comes when its last has long ended and the freshest numbers are known exactly.
 * The list begins with the pair of this number.
 */
export function householdCalls(
  terminals: readonly DemoTerminal[],
  sites: readonly string[],
  firstPair: number,
): PlannedCall[] {
  const households = Array.from({ length: terminals.length / MEMBERS }, (_, index) =>
    terminals.slice(MEMBERS * index, MEMBERS * (index + 1)),
  );
  return Array.from({ length: PAIRS }, (_, index) => {
    const pair = (firstPair + index) % PAIRS;
    const member = (household: readonly DemoTerminal[], place: number) =>
      household[place % MEMBERS] as DemoTerminal;
    const callers = households.map((household) => member(household, pair));
    const callees = households.map((household) => member(household, pair + 1 + (pair % 2)));
    const at = (household: number) => ({ site: sites[(household + pair) % sites.length] ?? '' });
    return [
      ...callers.map((caller, index) => ({ caller, dialed: callees[index]?.number ?? '', ...at(index) })),
      ...callers.map((caller, index) => ({ caller, dialed: '*52', ...at(index) })),
      ...callees.map((caller, index) => ({ caller, dialed: '*69', ...at(index) })),
    ];
  }).flat();
}
