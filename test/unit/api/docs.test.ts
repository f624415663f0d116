import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, expect, it } from 'vitest';
import { wireApi } from '../../../services/api/wire.ts';
import { parseConfig } from '../../../shared/runtime/config.ts';
import { packageRoot } from '../../../shared/runtime/package-root.ts';

const { app, parts } = wireApi(
  parseConfig(
    `{ site: a, domain: x.test, postgres: { url: 'postgres://u@127.0.0.1:1/x' }, redis: { url: 'redis://127.0.0.1:1' } }`,
  ),
  pino({ level: 'silent' }),
);
afterAll(async () => {
  await app.close();
  for (const part of parts) if (part.name !== 'http') await part.stop?.();
});

it('docs/api.md names every address with the role it needs, and no other', async () => {
  const page = readFileSync(join(packageRoot(), 'docs/api.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(GET|POST|PUT|PATCH|DELETE) ([^`?]+)[^`]*` \| (\w+) \|/gm)];
  const documented = rows.map(([, method, path, role]) => `${method} ${path} ${role}`).sort();
  const { paths } = (await app.inject('/v1/openapi.json')).json<{
    paths: Record<string, Record<string, { description: string }>>;
  }>();
  const served = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(
      ([method, { description }]) =>
        `${method.toUpperCase()} ${path} ${/role (\w+)/.exec(description)?.[1] ?? 'none'}`,
    ),
  );
  expect(documented).toEqual(served.sort());
});
