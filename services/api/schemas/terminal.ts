import { type Static, Type } from '@sinclair/typebox';
import { Digits, Nullable, Site, TerminalId, Timestamp } from './field-types.ts';

const Id = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const Name = Type.String({ minLength: 1, maxLength: 128, pattern: '^\\S+$' });
const AddressOfRecord = Type.String({
  pattern: '^sips?:[^@\\s]+@[^@\\s]+$',
  maxLength: 256,
  examples: ['sip:1001@example.net'],
});
const Features = Type.Array(
  Type.Union([Type.Literal('redial'), Type.Literal('return'), Type.Literal('erase'), Type.Literal('trace')]),
  { uniqueItems: true, maxItems: 4 },
);

const writable = {
  userId: Type.Optional(Nullable(Id)),
  username: Type.Optional(Name),
  aor: Type.Optional(AddressOfRecord),
  password: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  ha1Md5: Type.Optional(
    Type.String({ pattern: '^[0-9a-f]{32}$', description: 'instead of the password (RFC 7616)' }),
  ),
  ha1Sha256: Type.Optional(
    Type.String({ pattern: '^[0-9a-f]{64}$', description: 'instead of the password (RFC 7616)' }),
  ),
  number: Digits,
  numberId: Type.Optional(Nullable(Id)),
  features: Type.Optional(Features),
  enabled: Type.Optional(Type.Boolean()),
};

export const TerminalChange = Type.Object(writable, { title: 'TerminalChange', additionalProperties: false });
export const TerminalPatch = Type.Partial(TerminalChange, {
  title: 'TerminalPatch',
  additionalProperties: false,
});
export const NewTerminal = Type.Object(
  { terminalId: TerminalId, ...writable },
  { title: 'NewTerminal', additionalProperties: false },
);
export type TerminalChangeBody = Static<typeof TerminalChange>;

/** Never with credentials. */
export const PublicTerminal = Type.Object(
  {
    terminalId: TerminalId,
    userId: Nullable(Id),
    username: Type.String(),
    aor: Type.String(),
    number: Type.String(),
    numberId: Nullable(Id),
    features: Features,
    enabled: Type.Boolean(),
    updatedAt: Type.Optional(Timestamp),
    site: Type.Optional(Site),
  },
  { title: 'Terminal' },
);

export const TerminalPage = Type.Object({
  terminals: Type.Array(PublicTerminal),
  next: Nullable(Type.Integer({ description: '`after` of the next page; null at the end' })),
});
