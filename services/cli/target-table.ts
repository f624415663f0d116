import type { TargetStatus } from '../../shared/postgres/directions/targets.ts';
import { millisecondsText, table } from './table.ts';

export const isTargetWell = ({ state }: TargetStatus): boolean =>
  state === 'streaming' || state === 'catching-up';

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
