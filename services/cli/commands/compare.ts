import type { Command, Result } from '../command.ts';
import { table } from '../table.ts';

/** As the API answers it. */
interface Comparison {
  readonly equal: boolean;
  readonly tables: readonly {
    readonly table: string;
    readonly from: string;
    readonly to: string;
    readonly originRows: number;
    readonly copyRows: number;
    readonly differingKeys: readonly (number | string)[];
    readonly differing: number;
    readonly repaired: number;
  }[];
}

const LONGEST_COMPARE_MS = 600_000;

export const compare: Command = {
  name: 'compare',
  summary: 'whether every copy equals its origin, safe while calls go on; exit status 3 when one differs',
  options: [{ flags: '--repair', description: "copy the origin's rows over what differs" }],
  async run(input, context) {
    const repair = input.flag('repair');
    const result = await context.api().post<Comparison>('/v1/compare', { repair }, LONGEST_COMPARE_MS);
    return comparisonResult(result);
  },
};

function comparisonResult(comparison: Comparison): Result {
  const rows = comparison.tables.map((t) => [
    `${t.from} > ${t.to}`,
    t.table,
    t.originRows,
    t.copyRows,
    t.differing,
    t.repaired,
    t.differingKeys.slice(0, 5).join(' ') || null,
  ]);
  const text = table(
    ['direction', 'table', 'origin rows', 'copy rows', 'differ', 'repaired', 'such as'],
    rows,
  );
  const unrepaired = comparison.tables.some((t) => t.differing > t.repaired);
  return {
    data: comparison,
    text: `${text}\n${unrepaired ? 'not equal' : 'equal'}`,
    exit: unrepaired ? 3 : 0,
  };
}
