import { Type } from '@sinclair/typebox';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { formatTimestamptz } from '../../../shared/domain/micros.ts';
import { forgetLastCalls } from '../../../shared/postgres/last-calls/forget.ts';
import { findTerminal } from '../../../shared/postgres/terminals.ts';
import type { ApiDeps } from '../deps.ts';
import { lastCallsJson } from '../last-calls-json.ts';
import { TerminalId } from '../schemas/field-types.ts';
import { ForgetScope, Forgotten, LastCallsAnswer } from '../schemas/last-calls.ts';
import type { ApiApp } from '../typebox-provider.ts';

const params = Type.Object({ terminalId: TerminalId });
const tags = ['last calls'];

export function lastCallsRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/v1/terminals/:terminalId/lastcalls',
    {
      config: { role: 'read' },
      schema: {
        tags,
        summary: 'The freshest entry of each group, and every table',
        params,
        response: { 200: LastCallsAnswer },
      },
    },
    async ({ params: { terminalId } }) => {
      const answer = lastCallsJson(terminalId, await deps.reader.read(terminalId));
      const nothing = Object.values(answer.tables).every((table) => table === null);
      if (nothing && !answer.degraded) await mustExist(deps, terminalId);
      return answer;
    },
  );

  app.delete(
    '/v1/terminals/:terminalId/lastcalls',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Forget the last calls in every table of every site (S3, C9)',
        params,
        querystring: Type.Object({ scope: Type.Optional(ForgetScope) }),
        response: { 200: Forgotten },
      },
    },
    async ({ params: { terminalId }, query: { scope = 'all' } }) => {
      const forgottenAt = await forgetLastCalls(deps.database, terminalId, scope);
      return { terminalId, scope, forgottenAt: formatTimestamptz(forgottenAt) };
    },
  );
}

async function mustExist(deps: ApiDeps, terminalId: number): Promise<void> {
  const found = await findTerminal(deps.database, { terminalId }, deps.lookupBudgetMs);
  if (!found) throw new LastcallError('TERMINAL_NOT_FOUND', { details: { terminalId } });
}
