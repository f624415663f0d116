import { Type } from '@sinclair/typebox';
import { readTargets } from '../../../shared/postgres/directions/targets.ts';
import type { ApiDeps } from '../deps.ts';
import { Nullable, Site, Timestamp } from '../schemas/field-types.ts';
import type { ApiApp } from '../typebox-provider.ts';

const Target = Type.Object(
  {
    target: Type.String(),
    kinds: Type.Array(Type.String()),
    state: Type.String({ description: 'as of a direction: streaming, catching-up, resyncing, stopped' }),
    reason: Nullable(Type.String()),
    detail: Nullable(Type.String()),
    lagMs: Nullable(Type.Number()),
    appliedLsn: Nullable(Type.String()),
    rowsReceived: Type.Integer(),
    rowsApplied: Type.Integer(),
    updatedAt: Nullable(Timestamp),
  },
  { title: 'TargetStatus' },
);

export function targetsRoute(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/v1/targets',
    {
      config: { role: 'read' },
      schema: {
        tags: ['replication'],
        summary: 'The databases elsewhere that this site feeds, as its replicator reports them',
        response: { 200: Type.Object({ site: Site, targets: Type.Array(Target) }) },
      },
    },
    async () => {
      const targets = await readTargets(deps.database, deps.statementBudgetMs);
      return { site: deps.site, targets: targets.map((target) => ({ ...target, kinds: [...target.kinds] })) };
    },
  );
}
