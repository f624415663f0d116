import { Ajv } from 'ajv';
import { pino } from 'pino';
import { afterAll, describe, expect, it } from 'vitest';
import { wireApi } from '../../../services/api/wire.ts';
import { parseConfig } from '../../../shared/runtime/config.ts';

const yaml = `
site: a
domain: lastcall.test
postgres: { url: 'postgres://u:p@127.0.0.1:1/x' }
redis: { url: 'redis://127.0.0.1:1' }
api: { tokens: [{ token: 'a-token-that-is-long', role: admin }, { token: 'a-token-that-reads', role: read }] }
`;
const { app, parts } = wireApi(parseConfig(yaml), pino({ level: 'silent' }));
afterAll(async () => {
  await app.close();
  for (const part of parts) if (part.name !== 'http') await part.stop?.();
});

interface Content {
  readonly schema: object;
  readonly example?: unknown;
}

interface Operation {
  readonly summary?: string;
  readonly operationId: string;
  readonly description: string;
  readonly security?: unknown;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: object;
  }[];
  readonly requestBody?: { readonly content: Record<string, Content> };
  readonly responses: Record<
    string,
    { readonly description: string; readonly content?: Record<string, Content> }
  >;
}

const document = (await app.inject('/v1/openapi.json')).json<{
  openapi: string;
  info: Record<string, string>;
  components: { schemas: Record<string, object> };
  paths: Record<string, Record<string, Operation>>;
}>();
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
);

describe('/v1/openapi.json', () => {
  it('is OpenAPI 3.1 and names every address of the contract', () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(document.info).toMatchObject({ title: 'Lastcall', version: expect.any(String) });
    expect(operations.map(({ path, method }) => `${method.toUpperCase()} ${path}`).sort()).toEqual(
      [
        'GET /v1/terminals',
        'POST /v1/terminals',
        'GET /v1/terminals/{terminalId}',
        'PUT /v1/terminals/{terminalId}',
        'PATCH /v1/terminals/{terminalId}',
        'DELETE /v1/terminals/{terminalId}',
        'GET /v1/terminals/{terminalId}/lastcalls',
        'DELETE /v1/terminals/{terminalId}/lastcalls',
        'GET /v1/target',
        'GET /v1/console',
        'GET /v1/console/accounts',
        'POST /v1/calls',
        'GET /v1/bans',
        'DELETE /v1/bans/{nameOrSource}',
        'GET /v1/tokens',
        'POST /v1/tokens',
        'DELETE /v1/tokens/{name}',
        'POST /v1/console/login',
        'GET /v1/records',
        'GET /v1/audit',
        'GET /v1/alerts',
        'GET /v1/events',
        'GET /v1/replication',
        'POST /v1/replication/{from}/{to}/resync',
        'POST /v1/replication/{from}/{to}/pause',
        'POST /v1/replication/{from}/{to}/resume',
        'POST /v1/failovers',
        'GET /v1/failovers',
        'GET /v1/failovers/{id}',
        'POST /v1/compare',
        'GET /v1/tables/{kind}/{key}',
        'GET /v1/targets',
      ].sort(),
    );
  });

  it('explains every operation, its token and its problems, under an id of its own', () => {
    for (const { path, method, operation } of operations) {
      const name = `${method} ${path}`;
      expect(operation.summary, name).toBeTruthy();
      if (path === '/v1/console/login') expect(operation.security, name).toBeUndefined();
      else {
        expect(operation.description, name).toMatch(/Needs a token with the role (read|record|admin)\./);
        expect(operation.security, name).toEqual([{ bearer: [] }]);
      }
      expect(operation.responses['default']?.content, name).toHaveProperty('application/problem+json');
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      expect(
        operation.parameters.filter((p) => p.in === 'path').map((p) => p.name),
        name,
      ).toEqual(inPath);
    }
    expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(operations.length);
  });

  it('names every status and media type that an operation answers with', () => {
    const of = (method: string, path: string) =>
      operations.find((o) => o.method === method && o.path === path)?.operation as Operation;
    const patch = of('patch', '/v1/terminals/{terminalId}');
    expect(Object.keys(patch.responses)).toEqual([
      '200',
      '400',
      '401',
      '403',
      '404',
      '409',
      '412',
      '413',
      '415',
      '429',
      '503',
      'default',
    ]);
    expect(Object.keys(patch.requestBody?.content ?? {})).toContain('application/merge-patch+json');
    expect(Object.keys(of('get', '/v1/target').responses['200']?.content ?? {})).toContain('text/plain');
    expect(of('get', '/v1/events').responses['200']?.content).toHaveProperty('text/event-stream');
    expect(of('post', '/v1/console/login').responses).not.toHaveProperty('403');
  });

  /** `$ref` finds what it names. */
  const compiled = (schema: object) =>
    new Ajv({ strict: false }).compile({ ...schema, components: document.components });
  const bodies = (operation: Operation) =>
    [operation.requestBody, ...Object.values(operation.responses)].flatMap((body) =>
      Object.entries(body?.content ?? {}),
    );

  it('holds only schemas that a JSON Schema validator takes', () => {
    const schemas = operations.flatMap(({ operation }) => [
      ...bodies(operation).map(([, { schema }]) => schema),
      ...operation.parameters.map(({ schema }) => schema),
    ]);
    const different = new Set(schemas.map((schema) => JSON.stringify(schema)));
    for (const schema of different) expect(() => compiled(JSON.parse(schema)), schema).not.toThrow();
  });

  it('holds what several operations share once, and refers to it', () => {
    const { schemas } = document.components;
    expect(Object.keys(schemas)).toEqual(
      expect.arrayContaining(['Problem', 'Terminal', 'Direction', 'Failover', 'LastCall', 'CallRecord']),
    );
    const text = JSON.stringify(document);
    for (const name of Object.keys(schemas)) expect(text.split(`"title":"${name}"`), name).toHaveLength(2);
    const referred = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
    expect(new Set(referred)).toEqual(new Set(Object.keys(schemas)));
  });

  it('shows every body that is asked for or given by an example that its schema takes', () => {
    let shown = 0;
    for (const { path, method, operation } of operations) {
      for (const [type, { example, schema }] of bodies(operation)) {
        if (type === 'application/problem+json' || type === 'text/plain') continue;
        const validate = compiled(schema);
        expect(validate(example), `${method} ${path}: ${JSON.stringify(validate.errors)}`).toBe(true);
        shown++;
      }
    }
    expect(shown).toBeGreaterThan(30);
  });
});

describe('before any dependency is found', () => {
  it('is alive and serves what it can: readiness degraded with the reasons, lookups 503', async () => {
    expect((await app.inject('/healthz')).statusCode).toBe(200);
    const ready = await app.inject('/readyz');
    expect(ready.statusCode).toBe(200);
    expect(ready.json()).toMatchObject({
      status: 'degraded',
      checks: { postgres: { state: 'down' }, redis: { state: 'down' } },
    });
    const headers = { authorization: 'Bearer a-token-that-is-long' };
    const lookup = await app.inject({ url: '/v1/target?terminalId=1&code=*52', headers });
    expect(lookup.json()).toMatchObject({ status: 503, code: 'UNREADABLE' });
  });
});

describe('every operation, with what can go wrong without any dependency', () => {
  /** A request as its examples make it. */
  const asked = (path: string, method: string, operation: Operation, token: string | null) => {
    const [type, body] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
    const query = operation.parameters
      .filter((parameter) => parameter.in === 'query' && parameter.required)
      .map(({ name }) => `${name}=1001`);
    return app.inject({
      method: method.toUpperCase() as 'GET',
      url: `${path.replace(/\{(\w+)\}/g, (_, name) => EXAMPLES[name] ?? '1')}?${query.join('&')}`,
      headers: {
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(type !== undefined && { 'content-type': type }),
      },
      ...(body && { payload: JSON.stringify(body.example) }),
    });
  };
  const EXAMPLES: Readonly<Record<string, string>> = {
    from: 'b',
    to: 'a',
    id: '7d0c6a52-5f1d-4a0e-9a3c-0f4f6b1f2a11',
    kind: 'lastcalls',
  };
  const withToken = operations.filter(({ operation }) => operation.security !== undefined);

  it.each(withToken)('$method $path without a token is 401, with a role too small 403', async (its) => {
    const { method, operation, path } = its;
    const nobody = await asked(path, method, operation, null);
    expect(nobody.json()).toMatchObject({ status: 401, code: 'TOKEN_MISSING' });
    if (operation.description.includes('the role read')) return;
    const reader = await asked(path, method, operation, 'a-token-that-reads');
    expect(reader.json()).toMatchObject({ status: 403, code: 'ROLE_INSUFFICIENT' });
  });

  it.each(operations.filter(({ path }) => path !== '/v1/events'))(
    '$method $path while all is away answers what its document says, and never 500',
    async ({ method, operation, path }) => {
      const answer = await asked(path, method, operation, 'a-token-that-is-long');
      expect(answer.statusCode, answer.body).not.toBe(500);
      expect(Object.keys(operation.responses), answer.body).toContain(String(answer.statusCode));
      if (answer.statusCode >= 400)
        expect(answer.headers['content-type']).toContain('application/problem+json');
    },
  );
});
