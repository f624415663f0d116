import { LastcallError } from '../../../shared/domain/errors.ts';
import { tokenJson } from '../../../shared/postgres/token-json.ts';
import { redeemCode } from '../../../shared/postgres/tokens.ts';
import type { ApiDeps } from '../deps.ts';
import type { RateLimits } from '../rate-limits.ts';
import { LoggedIn, LoginCode } from '../schemas/token.ts';
import type { ApiApp } from '../typebox-provider.ts';

export function consoleLoginRoute(app: ApiApp, deps: ApiDeps, limits: RateLimits): void {
  app.post(
    '/v1/console/login',
    {
      config: { audited: true },
      schema: {
        tags: ['tokens'],
        summary: 'Exchange a one-time code for a token',
        description:
          'The code is of `lastcall tokens add NAME --one-time` or of POST /v1/tokens; it is used up by the first who sends it.',
        body: LoginCode,
        response: { 200: LoggedIn },
      },
    },
    async ({ body, ip }, reply) => {
      const nowMs = performance.now();
      limits.attempt(ip, null, nowMs);
      const made = await redeemCode(deps.database, body.code, deps.loginSeconds);
      if (!made) {
        limits.failed(ip, nowMs);
        throw new LastcallError('CODE_INVALID');
      }
      await deps.tokens.refresh();
      const { expiresAt, name, role } = tokenJson(made);
      reply.header('cache-control', 'no-store');
      return { token: made.token, name, role, expiresAt };
    },
  );
}
