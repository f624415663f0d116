import { Type } from '@sinclair/typebox';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { formatTimestamptz, parseTimestamptz } from '../../../shared/domain/micros.ts';
import {
  pageEndOf,
  parsePageEnd,
  readCallRecords,
} from '../../../shared/postgres/call-records/read-call-records.ts';
import type { ApiDeps } from '../deps.ts';
import { Nullable, Site, TerminalId, Timestamp } from '../schemas/field-types.ts';
import type { ApiApp } from '../typebox-provider.ts';

const Code = Type.Union([Type.Literal('redial'), Type.Literal('return')]);

const CallRecord = Type.Object(
  {
    recordId: Type.String(),
    at: Timestamp,
    callId: Type.String({ description: 'Call-ID of the INVITE' }),
    fromTerminalId: Nullable(Type.Integer()),
    fromNumber: Nullable(Type.String()),
    withheld: Type.Boolean({
      description: 'the caller withheld the number: then nothing of who it was is kept',
    }),
    toTerminalId: Nullable(Type.Integer()),
    toNumber: Nullable(
      Type.String({ description: 'as dialed; after a star code the number that it stood for' }),
    ),
    code: Nullable(Code),
    sourceSite: Nullable(Site),
    sourceAgeMs: Nullable(Type.Integer({ description: 'how old the row was that the number came from' })),
    result: Type.String({ examples: ['answered', 'missed', 'offline', 'NO_DATA'] }),
    status: Type.Integer({ description: 'the final SIP status' }),
    setupMs: Type.Integer(),
    talkMs: Nullable(Type.Integer({ description: 'from the answer to BYE; null: unanswered, or not seen' })),
  },
  { title: 'CallRecord' },
);

const querystring = Type.Object({
  terminalId: Type.Optional(TerminalId),
  code: Type.Optional(Code),
  from: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339: none before' })),
  before: Type.Optional(Type.String({ maxLength: 80, description: '`next` of the page before' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 100 })),
});

export function callRecordsRoute(app: ApiApp, { database }: ApiDeps): void {
  app.get(
    '/v1/records',
    {
      config: { role: 'admin' },
      schema: {
        tags: ['call records'],
        summary: 'Finished calls of this site, newest first, when `calls.recordDays` keeps them',
        querystring,
        response: {
          200: Type.Object({
            records: Type.Array(CallRecord),
            next: Nullable(Type.String({ description: '`before` of the next page; null at the end' })),
          }),
        },
      },
    },
    async ({ query: { before, code = null, from, limit = 100, terminalId = null } }) => {
      const records = await readCallRecords(database, {
        terminalId,
        code,
        from: from === undefined ? null : needed('from', parseTimestamptz(from)),
        before: before === undefined ? null : needed('before', parsePageEnd(before)),
        limit,
      });
      const last = records.length === limit ? records.at(-1) : undefined;
      return {
        records: records.map((record) => ({ ...record, at: formatTimestamptz(record.at) })),
        next: last === undefined ? null : pageEndOf(last),
      };
    },
  );
}

function needed<T>(name: string, value: T | null): T {
  if (value !== null) return value;
  throw new LastcallError('INVALID_VALUE', { details: { message: `${name} is not of its form` } });
}
