import { Type } from '@sinclair/typebox';
import { Nullable, Site } from './field-types.ts';

export const ConsoleAnswer = Type.Object({
  site: Site,
  domain: Type.String({ description: 'SIP domain of the subscribers' }),
  codes: Type.Array(Type.Object({ code: Type.String(), feature: Type.String() })),
  servers: Type.Array(
    Type.Object({
      scheme: Type.Union([Type.Literal('ws'), Type.Literal('wss')]),
      host: Nullable(Type.String({ description: 'null: the host that the page came from' })),
      port: Type.Integer(),
    }),
    { description: 'where a browser registers (RFC 7118)' },
  ),
});

export const DemoAccounts = Type.Object({
  accounts: Type.Array(Type.Object({ username: Type.String(), password: Type.String() })),
});
