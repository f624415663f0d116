import { Type } from '@sinclair/typebox';
import { type Choice, chooseFreshest } from '../../../shared/domain/choose-freshest.ts';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { groupsOf } from '../../../shared/domain/feature-call.ts';
import { featureOf } from '../../../shared/domain/feature-code.ts';
import { formatTimestamptz, type Micros } from '../../../shared/domain/micros.ts';
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
  'With `Accept: text/plain` the body is the number alone, and empty whenever there is none, for a dial plan that takes it as it is.';

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
        response: { 200: Target },
      },
    },
    async ({ query, headers }, reply) => {
      const feature = featureOf(query.code, deps.policy.codes);
      if (feature !== 'redial' && feature !== 'return') throw badCode(query.code, deps);
      const terminalId = query.terminalId ?? (await namedId(query.terminal, deps));
      const { sources, marks } = await deps.reader.read(terminalId);
      const choice = chooseFreshest(groupsOf(feature, deps.policy.returnSource), sources, marks);
      const target = targetOf(choice, deps.clock());
      if (!wantsText(headers.accept)) return target;
      return reply
        .type('text/plain; charset=utf-8')
        .serializer(String)
        .send(target.number as never);
    },
  );
}

async function namedId(name: string | undefined, { directory }: ApiDeps): Promise<number> {
  if (name === undefined)
    throw new LastcallError('INVALID_VALUE', { details: { message: 'terminal or terminalId is needed' } });
  const found = await directory.find(name);
  if (found) return found.terminalId;
  throw new LastcallError('TERMINAL_NOT_FOUND', { details: { terminal: name } });
}

function badCode(code: string, { policy }: ApiDeps): LastcallError {
  const expected = [...policy.codes]
    .filter(([, feature]) => feature === 'redial' || feature === 'return')
    .map(([known]) => known);
  return new LastcallError('INVALID_VALUE', { details: { code, expected } });
}

const WHY = { none: 'NO_DATA', withheld: 'WITHHELD', erased: 'ERASED', unreadable: 'UNREADABLE' } as const;

function targetOf(choice: Choice, now: Micros) {
  if (choice.kind !== 'number') throw new LastcallError(WHY[choice.kind]);
  const { number, site, entry, degraded } = choice;
  const ageMs = Math.max(0, Math.round((now - entry.at) / 1000));
  return { number, site, at: formatTimestamptz(entry.at), ageMs, degraded: degraded.length > 0 };
}
