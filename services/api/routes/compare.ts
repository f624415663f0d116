import { Type } from '@sinclair/typebox';
import type { ApiDeps } from '../deps.ts';
import { Site } from '../schemas/field-types.ts';
import type { ApiApp } from '../typebox-provider.ts';

const TableComparison = Type.Object(
  {
    table: Type.String(),
    from: Site,
    to: Site,
    originRows: Type.Integer(),
    copyRows: Type.Integer(),
    differing: Type.Integer(),
    differingKeys: Type.Array(Type.Union([Type.Integer(), Type.String()]), {
      description: 'the first hundred',
    }),
    repaired: Type.Integer(),
  },
  { title: 'TableComparison' },
);
const Comparison = Type.Object({ equal: Type.Boolean(), tables: Type.Array(TableComparison) });

export function compareRoutes(app: ApiApp, deps: ApiDeps): void {
  app.post(
    '/v1/compare',
    {
      config: { role: 'admin' },
      schema: {
        tags: ['replication'],
        summary: 'Whether every copy equals its origin; safe while calls go on',
        body: Type.Object(
          { repair: Type.Optional(Type.Boolean({ default: false })) },
          { additionalProperties: false },
        ),
        response: { 200: Comparison },
      },
    },
    async ({ body: { repair = false } }) => deps.compare(repair),
  );
}
