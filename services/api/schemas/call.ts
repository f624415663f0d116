import { type Static, Type } from '@sinclair/typebox';
import { Digits, TerminalId, TerminalName, Timestamp } from './field-types.ts';

export const CallReport = Type.Object(
  {
    callId: Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'of the PBX; with `event` it names the record',
    }),
    event: Type.Union([Type.Literal('dialed'), Type.Literal('missed'), Type.Literal('answered')]),
    from: Type.Optional(TerminalName),
    to: TerminalName,
    at: Type.Optional(Timestamp),
    withheld: Type.Optional(Type.Boolean({ description: 'the caller withheld the number (R7)' })),
    forwardedBy: Type.Optional(Digits),
    originalCalled: Type.Optional(Digits),
  },
  { title: 'CallReport', additionalProperties: false },
);
export type CallReportBody = Static<typeof CallReport>;

export const CallAnswer = Type.Object(
  {
    callId: Type.String(),
    event: Type.String(),
    result: Type.Union([Type.Literal('recorded'), Type.Literal('journalled'), Type.Literal('ignored')]),
    terminalId: TerminalId,
    reason: Type.Optional(
      Type.Union([Type.Literal('own-number'), Type.Literal('emergency'), Type.Literal('feature-code')], {
        description: 'why it was ignored (R1, R2, R8)',
      }),
    ),
  },
  { title: 'CallAnswer' },
);
export type CallAnswerBody = Static<typeof CallAnswer>;
