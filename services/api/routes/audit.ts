import { Type } from '@sinclair/typebox';
import { formatTimestamptz } from '../../../shared/domain/micros.ts';
import { readAuditLog } from '../../../shared/postgres/audit-log.ts';
import type { ApiDeps } from '../deps.ts';
import { Nullable, Timestamp } from '../schemas/field-types.ts';
import type { ApiApp } from '../typebox-provider.ts';

const Entry = Type.Object(
  {
    id: Type.Integer(),
    at: Timestamp,
    who: Type.String({ description: "the token's name, or user@host of a command line" }),
    via: Type.Union([Type.Literal('rest'), Type.Literal('cli')]),
    source: Nullable(Type.String({ description: 'address; null: a local socket' })),
    what: Type.String({ examples: ['PUT /v1/terminals/:terminalId', 'terminals add'] }),
    details: Type.Record(Type.String(), Type.Unknown(), { description: 'what was asked, without secrets' }),
    requestId: Nullable(Type.String()),
  },
  { title: 'AuditEntry' },
);

const querystring = Type.Object({
  before: Type.Optional(Type.Integer({ minimum: 1, description: '`next` of the page before' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 100 })),
  who: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
});

export function auditRoute(app: ApiApp, { database }: ApiDeps): void {
  app.get(
    '/v1/audit',
    {
      config: { role: 'admin' },
      schema: {
        tags: ['audit'],
        summary: 'Every change that was made at this site over REST or the command line, newest first',
        querystring,
        response: {
          200: Type.Object({
            entries: Type.Array(Entry),
            next: Nullable(Type.Integer({ description: '`before` of the next page; null at the end' })),
          }),
        },
      },
    },
    async ({ query: { before = null, limit = 100, who = null } }) => {
      const entries = await readAuditLog(database, { before, limit, who });
      const last = entries.length === limit ? entries.at(-1) : undefined;
      return {
        entries: entries.map((entry) => ({
          ...entry,
          at: formatTimestamptz(entry.at),
          details: { ...entry.details },
        })),
        next: last?.id ?? null,
      };
    },
  );
}
