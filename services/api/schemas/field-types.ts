import { type TSchema, Type } from '@sinclair/typebox';

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

export const TerminalId = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'terminal id',
});
/** F21. */
export const Digits = Type.String({
  pattern: '^[0-9+*#A-D]{1,32}$',
  description: 'a number as dialed: digits, +, *, # and A to D, at most 32',
});
export const Site = Type.String({ pattern: '^[a-z][a-z0-9_]{0,15}$', description: 'a site' });
/** Microseconds are kept; a JS Date would lose them. */
export const Timestamp = Type.String({
  description: 'RFC 3339, UTC, six decimals',
  examples: ['2026-11-21T03:47:00.123456Z'],
});
/** A terminal as a PBX or an operator names it. */
export const TerminalName = Type.String({
  minLength: 1,
  maxLength: 256,
  description: 'number, username or address of record',
});

export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.Optional(Type.String()),
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    remedy: Type.Optional(Type.String()),
  },
  {
    title: 'Problem',
    description: 'RFC 9457 problem; `code` is one of the error catalogue, an unexpected error has none',
  },
);
