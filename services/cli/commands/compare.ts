import { LastcallError } from '../../../shared/domain/errors.ts';
import type { Comparison } from '../../../shared/postgres/repair/compare.ts';
import { compareConfiguredSites } from '../../../shared/postgres/repair/compare-configured.ts';
import type { Command, Result } from '../command.ts';
import type { Context } from '../context.ts';
import { table } from '../table.ts';

const LONGEST_COMPARE_MS = 600_000;

export const compare: Command = {
  name: 'compare',
  changes: (input) => input.flag('repair'),
  summary: 'whether every copy equals its origin, safe while calls go on; exit status 3 when one differs',
  options: [{ flags: '--repair', description: "copy the origin's rows over what differs" }],
  async run(input, context) {
    return comparisonResult(await compareCopies(context, input.flag('repair')));
  },
};

/** Through the API, or directly when it is away. */
async function compareCopies(context: Context, repair: boolean): Promise<Comparison> {
  try {
    return await context.api().post<Comparison>('/v1/compare', { repair }, LONGEST_COMPARE_MS);
  } catch (error) {
    if (!(error instanceof LastcallError) || error.code !== 'API_UNREACHABLE') throw error;
  }
  return compareConfiguredSites(context.config().config, repair, context.signal);
}

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
  const head = ['direction', 'table', 'origin rows', 'copy rows', 'differ', 'repaired', 'such as'];
  const text = `${table(head, rows)}\n${comparison.equal ? 'equal' : 'not equal'}`;
  return { data: comparison, text, exit: comparison.equal ? 0 : 3 };
}
