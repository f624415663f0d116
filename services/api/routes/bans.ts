import { Type } from '@sinclair/typebox';
import type { Ban } from '../../../shared/domain/ban.ts';
import { formatTimestamptz, micros } from '../../../shared/domain/micros.ts';
import type { ApiDeps } from '../deps.ts';
import { BanList, LiftedBans } from '../schemas/ban.ts';
import type { ApiApp } from '../typebox-provider.ts';

const tags = ['bans'];

export function banRoutes(app: ApiApp, { bans, clock }: ApiDeps): void {
  const nowMs = () => Math.floor(clock() / 1000);
  app.get(
    '/v1/bans',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Whose log-ins at SIP are held back after wrong passwords (G7)',
        response: { 200: BanList },
      },
    },
    async () => ({ bans: (await bans.list(nowMs())).map(json) }),
  );

  app.delete(
    '/v1/bans/:nameOrSource',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Let a username in again everywhere, or every username at a source address',
        params: Type.Object({ nameOrSource: Type.String({ minLength: 1, maxLength: 100 }) }),
        response: { 200: LiftedBans },
      },
    },
    async ({ params: { nameOrSource } }) => ({
      lifted: (await bans.lift(nameOrSource, nowMs())).map(json),
    }),
  );
}

const json = ({ failures, heldUntilMs, name, source }: Ban) => ({
  name,
  source,
  failures,
  heldUntil: formatTimestamptz(micros(heldUntilMs * 1000)),
});
