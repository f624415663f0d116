import { recordChange, withoutSecrets } from '../../shared/postgres/audit-log.ts';
import type { Context } from './context.ts';
import { operator } from './operator.ts';

const ABOUT_THE_RUN = new Set(['config', 'site', 'lab', 'api', 'json', 'token']);

/** Writes down what a command changed here. The change is made: that it could not be written down is a complaint, not a failure. */
export async function recordCommand(
  what: string,
  values: ReadonlyMap<string, unknown>,
  context: Context,
): Promise<void> {
  if (context.changedOverApi()) return;
  const asked = [...values].filter(([name, value]) => !ABOUT_THE_RUN.has(name) && value !== undefined);
  const details = withoutSecrets(Object.fromEntries(asked)) as Record<string, unknown>;
  try {
    const database = await context.database();
    await recordChange(database, {
      who: operator(),
      via: 'cli',
      source: null,
      what,
      details,
      requestId: null,
    });
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    context.err(`lastcall: this change is not in the audit log: ${said}\n`);
  }
}
