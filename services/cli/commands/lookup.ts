import { LastcallError } from '../../../shared/domain/errors.ts';
import { decideFeatureCall, type FeatureDecision } from '../../../shared/domain/feature-call.ts';
import { featureOf } from '../../../shared/domain/feature-code.ts';
import { formatTimestamptz, type Micros, micros } from '../../../shared/domain/micros.ts';
import { readLastCalls } from '../../../shared/postgres/last-calls/read-last-calls.ts';
import { featureCodes, featurePolicy } from '../../../shared/runtime/feature-codes.ts';
import type { Command } from '../command.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { namedTerminal, TERMINAL_ARGUMENT } from '../named-terminal.ts';

export const lookup: Command = {
  name: 'lookup',
  summary: 'which number a feature code would call, from which site, dialed or missed when',
  arguments: [
    TERMINAL_ARGUMENT,
    { name: 'CODE', description: '*52 (last dialed), *69 (last caller), or their aliases' },
  ],
  examples: ["lastcall lookup 1001 '*52'"],
  async run(input, context) {
    const { config } = context.config();
    const codes = featureCodes(config);
    const feature = featureOf(input.text('CODE'), codes);
    if (feature !== 'redial' && feature !== 'return') {
      const known = [...codes]
        .filter(([, kind]) => kind === 'redial' || kind === 'return')
        .map(([code]) => code);
      throw new LastcallError('INVALID_VALUE', { details: { code: input.text('CODE'), expected: known } });
    }
    const database = await context.database().catch((error: unknown) => {
      if (error instanceof LastcallError && error.code.startsWith('DATABASE_')) return null;
      throw error;
    });
    if (database === null) return askApi(context, input);
    const terminal = await namedTerminal(database, input.text('TERMINAL'));
    const known = await readLastCalls(database, [terminal.terminalId], config.postgres.lookupBudgetMs);
    const { sources, marks } = known.get(terminal.terminalId) ?? { sources: [], marks: [] };
    const decision = decideFeatureCall({ terminal, feature, sources, marks }, featurePolicy(config));
    return found(decision, micros(Date.now() * 1000));
  },
};

/** While the database is away: the api knows the terminals, the journal and the peers' copies, as SIP does. */
async function askApi(context: Context, input: Input) {
  const query = new URLSearchParams({ terminal: input.text('TERMINAL'), code: input.text('CODE') });
  const target = await context
    .api()
    .get<{ number: string; site: string; at: string; ageMs: number }>(`/v1/target?${query}`);
  const { ageMs, at, number, site } = target;
  return { data: { number, site, at, ageMs, degraded: true }, text: `${number}  site ${site}  ${at}` };
}

function found(decision: FeatureDecision, now: Micros) {
  if (decision.kind === 'refuse') throw new LastcallError(decision.refusal);
  const { number, site, entry } = decision;
  const at = formatTimestamptz(entry.at);
  const ageMs = Math.max(0, Math.round((now - entry.at) / 1000));
  return { data: { number, site, at, ageMs }, text: `${number}  site ${site}  ${at}` };
}
