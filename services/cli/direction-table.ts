import { type DirectionStatus, isFlowing } from '../../shared/domain/direction-state.ts';
import { bytesText, millisecondsText, table } from './table.ts';

/** Fits 80 columns while no state needs more words than one. The rest is in `--json`. */
export function directionTable(directions: readonly DirectionStatus[]): string {
  const rows = directions.map((direction) => [
    `${direction.from} > ${direction.to}`,
    stateText(direction),
    millisecondsText(direction.lagMs),
    bytesText(direction.lagBytes),
    slotText(direction),
    direction.rowsApplied,
  ]);
  return table(['direction', 'state', 'lag', 'behind', 'slot retains', 'applied'], rows);
}

/** All of it streams: the direction, and every table of it. */
export const isWell = ({ kinds, state }: DirectionStatus): boolean => isFlowing(state) && kinds.length === 0;

/** `stopped: peer-unreachable` */
export function stateText({ paused, reason, state }: DirectionStatus): string {
  const words = paused ? `${state} (paused)` : state;
  return reason === null ? words : `${words}: ${reason}`;
}

/** `12.0 MB of 1.0 GB, full in 3 min`; a slot that is not simply reserved says so. */
function slotText({ slot }: DirectionStatus): string | null {
  if (slot.retainedBytes === null) return slot.walStatus;
  const budget = slot.budgetBytes === null ? '' : ` of ${bytesText(slot.budgetBytes)}`;
  const filling = slot.budgetBytes !== null && slot.retainedBytes > slot.budgetBytes / 10;
  const eta =
    slot.etaSeconds === null || !filling ? '' : `, full in ${millisecondsText(slot.etaSeconds * 1000)}`;
  const state = slot.walStatus === 'reserved' || slot.walStatus === null ? '' : `, ${slot.walStatus}`;
  return `${bytesText(slot.retainedBytes)}${budget}${eta}${state}`;
}
