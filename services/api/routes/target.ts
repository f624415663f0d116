import { Type } from '@sinclair/typebox';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { decideFeatureCall, type FeatureDecision } from '../../../shared/domain/feature-call.ts';
import { featureOf } from '../../../shared/domain/feature-code.ts';
import { formatTimestamptz, type Micros } from '../../../shared/domain/micros.ts';
import type { StoredTerminal } from '../../../shared/domain/terminal.ts';
import type { ApiDeps } from '../deps.ts';
import { wantsText } from '../plain-text.ts';
import { TerminalId, TerminalName } from '../schemas/field-types.ts';
import { Target } from '../schemas/last-calls.ts';
import type { ApiApp } from '../typebox-provider.ts';

const querystring = Type.Object({
  terminal: Type.Optional(TerminalName),
  terminalId: Type.Optional(TerminalId),
  code: Type.String({ minLength: 1, maxLength: 48, description: 'a feature code or alias, such as *52' }),
});

const description =
  'What *52 or *69 dialed at a phone would call: 403 and 404 say why nothing. With `Accept: text/plain` the body is the number alone, and empty whenever there is none, for a dial plan that takes it as it is.';

export function targetRoute(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/v1/target',
    {
      config: { role: 'read', emptyTextProblems: true },
      schema: {
        tags: ['last calls'],
        summary: 'The number that a feature code would call now',
        description,
        querystring,
        response: { 200: { ...Target, alsoAsText: true } },
      },
    },
    async ({ query, headers }, reply) => {
      const feature = featureOf(query.code, deps.policy.codes);
      if (feature !== 'redial' && feature !== 'return') throw badCode(query.code, deps);
      const terminal = await asked(query, deps);
      const { sources, marks } = await deps.reader.read(terminal.terminalId);
      const decision = decideFeatureCall({ terminal, feature, sources, marks }, deps.policy.features);
      const target = targetOf(decision, deps.clock());
      if (!wantsText(headers.accept)) return target;
      return reply
        .type('text/plain; charset=utf-8')
        .serializer(String)
        .send(target.number as never);
    },
  );
}

async function asked(
  { terminal: name, terminalId }: { terminal?: string; terminalId?: number },
  { directory }: ApiDeps,
): Promise<StoredTerminal> {
  if (name === undefined && terminalId === undefined)
    throw new LastcallError('INVALID_VALUE', { details: { message: 'terminal or terminalId is needed' } });
  const found = await (terminalId === undefined ? directory.find(name ?? '') : directory.byId(terminalId));
  if (found) return found;
  throw new LastcallError('TERMINAL_NOT_FOUND', { details: { terminal: terminalId ?? name } });
}

function badCode(code: string, { policy }: ApiDeps): LastcallError {
  const expected = [...policy.codes]
    .filter(([, feature]) => feature === 'redial' || feature === 'return')
    .map(([known]) => known);
  return new LastcallError('INVALID_VALUE', { details: { code, expected } });
}

function targetOf(decision: FeatureDecision, now: Micros) {
  if (decision.kind === 'refuse') throw new LastcallError(decision.refusal);
  const { number, site, entry, degraded } = decision;
  const ageMs = Math.max(0, Math.round((now - entry.at) / 1000));
  return { number, site, at: formatTimestamptz(entry.at), ageMs, degraded: degraded.length > 0 };
}
