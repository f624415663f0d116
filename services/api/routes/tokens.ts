import { Type } from '@sinclair/typebox';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { tokenJson } from '../../../shared/postgres/token-json.ts';
import { addToken, listTokens, revokeToken } from '../../../shared/postgres/tokens.ts';
import type { ApiDeps } from '../deps.ts';
import { lifetimeOf, MadeToken, NewToken, TokenList, TokenName } from '../schemas/token.ts';
import type { ApiApp } from '../typebox-provider.ts';

const tags = ['tokens'];

export function tokenRoutes(app: ApiApp, { database, tokens }: ApiDeps): void {
  app.get(
    '/v1/tokens',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary:
          'The tokens of this site and its unused log-in codes; those of the configuration are not among them',
        response: { 200: TokenList },
      },
    },
    async () => ({ tokens: (await listTokens(database)).map(tokenJson) }),
  );

  app.post(
    '/v1/tokens',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Make a token, good at once; this answer is the only one that holds it',
        body: NewToken,
        response: { 201: MadeToken },
      },
    },
    async ({ body, principal }, reply) => {
      const expiresInSeconds = lifetimeOf(body);
      if (body.oneTime && expiresInSeconds === null)
        throw new LastcallError('INVALID_VALUE', { details: { message: 'a one-time code must expire' } });
      const { name, oneTime = false, role } = body;
      const createdBy = principal?.name ?? '';
      const made = await addToken(database, { name, role, oneTime, createdBy, expiresInSeconds });
      await tokens.refresh();
      reply.header('cache-control', 'no-store');
      return reply.code(201).send({ ...tokenJson(made), token: made.token });
    },
  );

  app.delete(
    '/v1/tokens/:name',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Revoke a token, at once',
        params: TokenName,
        response: { 204: Type.Null() },
      },
    },
    async ({ params: { name } }, reply) => {
      await revokeToken(database, name);
      await tokens.refresh();
      return reply.code(204).send(null);
    },
  );
}
