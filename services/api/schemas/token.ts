import { type Static, Type } from '@sinclair/typebox';
import { ROLES } from '../../../shared/domain/role.ts';
import { Nullable, Timestamp } from './field-types.ts';

const Name = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
  description: 'letters, digits, dots, dashes and underscores',
  examples: ['pbx-1'],
});
const Role = Type.Union(
  ROLES.map((role) => Type.Literal(role)),
  { description: 'each may do what the ones before it may' },
);

const YEAR_SECONDS = 31_536_000;
const CODE_SECONDS = 600;

export const NewToken = Type.Object(
  {
    name: Name,
    role: Role,
    expiresInSeconds: Type.Optional(
      Nullable(
        Type.Integer({
          minimum: 1,
          maximum: 100 * YEAR_SECONDS,
          description: 'null: never; by default a year, a one-time code ten minutes',
        }),
      ),
    ),
    oneTime: Type.Optional(
      Type.Boolean({
        description: 'a code that /v1/console/login exchanges for a token, once',
        default: false,
      }),
    ),
  },
  { additionalProperties: false },
);
export type NewTokenBody = Static<typeof NewToken>;

export const lifetimeOf = ({ expiresInSeconds, oneTime }: NewTokenBody): number | null =>
  expiresInSeconds === undefined ? (oneTime ? CODE_SECONDS : YEAR_SECONDS) : expiresInSeconds;

export const Token = Type.Object(
  {
    name: Name,
    role: Role,
    oneTime: Type.Boolean(),
    createdBy: Type.String(),
    createdAt: Timestamp,
    expiresAt: Nullable(Timestamp),
    lastUsedAt: Nullable(Timestamp),
  },
  { title: 'Token' },
);
export const TokenList = Type.Object({ tokens: Type.Array(Token) });
export const MadeToken = Type.Object(
  {
    ...Token.properties,
    token: Type.String({ description: 'shown this once; only its hash is kept' }),
  },
  { title: 'MadeToken' },
);

export const TokenName = Type.Object({ name: Name });
export const LoginCode = Type.Object(
  { code: Type.String({ minLength: 16, maxLength: 128 }) },
  { additionalProperties: false },
);
export const LoggedIn = Type.Object({
  token: Type.String(),
  name: Name,
  role: Role,
  expiresAt: Nullable(Timestamp),
});
