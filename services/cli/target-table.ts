import { isFlowing } from '../../shared/domain/direction-state.ts';
import type { TargetStatus } from '../../shared/postgres/directions/targets.ts';
import { millisecondsText, table } from './table.ts';

export const isTargetWell = ({ state }: TargetStatus): boolean => isFlowing(state);

export function targetTable(targets: readonly TargetStatus[]): string {
  return table(
    ['target', 'tables', 'state', 'reason', 'lag', 'received', 'applied', 'detail'],
    targets.map(({ target, kinds, state, reason, lagMs, rowsReceived, rowsApplied, detail }) => [
      target,
      kinds.join(', '),
      state,
      reason,
      millisecondsText(lagMs),
      rowsReceived,
      rowsApplied,
      detail,
    ]),
  );
}
