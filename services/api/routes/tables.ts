import { Type } from '@sinclair/typebox';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { listKinds } from '../../../shared/postgres/kinds/define-kind.ts';
import type { Kind } from '../../../shared/postgres/kinds/kind.ts';
import { readFreshest } from '../../../shared/postgres/kinds/read-freshest.ts';
import type { ApiDeps } from '../deps.ts';
import { Nullable, Site, Timestamp } from '../schemas/field-types.ts';
import type { ApiApp } from '../typebox-provider.ts';

const Cells = Type.Record(Type.String(), Type.Unknown());
const Row = Type.Object(
  {
    kind: Type.String(),
    key: Cells,
    groups: Type.Record(Type.String(), Nullable(Type.Object({ site: Site, at: Timestamp, columns: Cells })), {
      description: 'by name; null: no site knows it, or it was forgotten',
    }),
    columns: Type.Record(Type.String(), Type.Unknown(), { description: 'what belongs to no group' }),
  },
  { title: 'TableRow' },
);

export function tableRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/v1/tables/:kind/:key',
    {
      config: { role: 'read' },
      schema: {
        tags: ['tables'],
        summary: 'The freshest of each group of one key, with its site and date',
        description: '404 with `TABLE_UNKNOWN` or `ROW_NOT_FOUND`.',
        params: Type.Object({
          kind: Type.String({ maxLength: 63, description: 'as `lastcall tables list` shows it' }),
          key: Type.String({
            maxLength: 1_024,
            description: 'the key, or a JSON array of strings when it has several columns',
          }),
        }),
        response: { 200: Row },
      },
    },
    async ({ params: { kind: name, key } }) => {
      // Provisioning holds credentials; it has addresses of its own.
      const kinds = (await listKinds(deps.database)).filter(({ purpose }) => purpose === 'state');
      const kind = kinds.find((each) => each.kind === name);
      if (!kind) {
        const known = kinds.map((each) => each.kind);
        throw new LastcallError('TABLE_UNKNOWN', { details: { table: name, known } });
      }
      const row = await readFreshest(deps.database, kind, keyParts(kind, key), deps.lookupBudgetMs);
      if (!row) throw new LastcallError('ROW_NOT_FOUND', { details: { table: name, key } });
      return row;
    },
  );
}

function keyParts({ kind, key }: Kind, text: string): string[] {
  if (key.length === 1) return [text];
  const parts = parsed(text);
  if (Array.isArray(parts) && parts.length === key.length && parts.every((part) => typeof part === 'string'))
    return parts;
  const form = JSON.stringify(key.map((name) => `<${name}>`));
  throw new LastcallError('INVALID_VALUE', {
    details: { message: `the key of ${kind} is a JSON array of strings: ${form}` },
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
