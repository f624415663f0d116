import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TObject, TSchema } from '@sinclair/typebox';
import type { RouteOptions } from 'fastify';
import type { Role } from '../../shared/domain/role.ts';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { EXAMPLES, type Example } from './openapi-examples.ts';
import { Problem } from './schemas/field-types.ts';
import type { ApiApp } from './typebox-provider.ts';

type Json = Readonly<Record<string, unknown>>;

/** What the route schemas hold, as far as the document is made of it. */
interface RouteSchema {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly params?: TObject;
  readonly querystring?: TObject;
  readonly body?: TSchema;
  readonly response?: Readonly<Record<string, TSchema>>;
}

/** Adds /v1/openapi.json: OpenAPI 3.1 from the schemas that also validate. Must be called before the routes it describes. */
export function openApiRoute(app: ApiApp): void {
  const paths: Record<string, Record<string, Json>> = {};
  app.addHook('onRoute', (route) => {
    if (!route.url.startsWith('/v1/') || route.url === '/v1/openapi.json') return;
    const path = route.url.replace(/:(\w+)/g, '{$1}');
    for (const method of [route.method].flat()) {
      if (method !== 'HEAD')
        paths[path] = { ...paths[path], [method.toLowerCase()]: operation(route, method) };
    }
  });
  app.get('/v1/openapi.json', async (_request, reply) =>
    reply.type('application/json').send(JSON.stringify(withSharedSchemas(paths))),
  );
}

/** Each schema with a title stands once, under components. */
function withSharedSchemas(paths: Json): Json {
  const shared = new Map<string, unknown>();
  const refer = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(refer);
    if (typeof value !== 'object' || value === null) return value;
    const inner = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, refer(part)]));
    if (inner['type'] !== 'object' || typeof inner['title'] !== 'string') return inner;
    shared.set(inner['title'], inner);
    return { $ref: `#/components/schemas/${inner['title']}` };
  };
  refer(Problem);
  return {
    openapi: '3.1.0',
    info: info(),
    servers: [{ url: '/' }],
    paths: refer(paths),
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: Object.fromEntries([...shared].sort(([a], [b]) => (a < b ? -1 : 1))),
    },
  };
}

function info(): Json {
  const { version, description } = JSON.parse(
    readFileSync(join(packageRoot(), 'package.json'), 'utf8'),
  ) as Json;
  return { title: 'Lastcall', version, description };
}

function operation(route: RouteOptions, method: string): Json {
  const schema = (route.schema ?? {}) as RouteSchema;
  const example = EXAMPLES[`${method} ${route.url}`] ?? {};
  const role: Role | undefined = route.config?.role;
  return {
    operationId: `${method.toLowerCase()}${route.url.replace(/\/v1|[^A-Za-z0-9]+(\w)?/g, (_, next?: string) => next?.toUpperCase() ?? '')}`,
    ...(schema.summary && { summary: schema.summary }),
    description: [schema.description, role && `Needs a token with the role ${role}.`]
      .filter(Boolean)
      .join(' '),
    ...(schema.tags && { tags: schema.tags }),
    parameters: [...parameters('path', schema.params), ...parameters('query', schema.querystring)],
    ...(schema.body && {
      requestBody: { required: true, content: bodyTypes(schema.body, method, example.request) },
    }),
    responses: { ...responses(schema.response ?? {}, example), ...problems(route, schema, method) },
    ...(role && { security: [{ bearer: [] }] }),
  };
}

function parameters(place: 'path' | 'query', schema: TObject | undefined): Json[] {
  if (!schema) return [];
  return Object.entries(schema.properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || (schema.required ?? []).includes(name),
    schema: property,
  }));
}

const PROBLEM = {
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
} as const;

/** In the query or the body: a terminal, a site. */
const NAMES_SOMETHING: ReadonlySet<string> = new Set(['/v1/target', '/v1/calls', '/v1/failovers']);

/** What an operation can refuse, by what it takes. */
function problems(route: RouteOptions, schema: RouteSchema, method: string): Json {
  const takes = [schema.params, schema.querystring, schema.body].some(Boolean);
  const conditional = route.url === '/v1/terminals/:terminalId' && method !== 'GET';
  const refusals: readonly (readonly [boolean, number, string])[] = [
    [takes, 400, 'a value is not acceptable; `details.faults` names each'],
    [
      route.config?.role !== undefined || route.url === '/v1/console/login',
      401,
      'no valid token, or no valid code',
    ],
    [route.config?.role !== undefined, 403, 'the token, or the terminal, may not do this'],
    [schema.params !== undefined || NAMES_SOMETHING.has(route.url), 404, 'there is none'],
    [method === 'POST' || method === 'PUT' || method === 'PATCH', 409, 'it contradicts what is there'],
    [conditional, 412, 'it has changed since the ETag that If-Match names'],
    [schema.body !== undefined, 413, 'the body is longer than 64 kB'],
    [schema.body !== undefined, 415, 'the body is of another media type'],
    [true, 429, 'too many requests, or wrong tokens; see Retry-After'],
    [true, 503, 'what it needs cannot be reached now; see Retry-After'],
  ];
  return Object.fromEntries(
    refusals
      .filter(([applies]) => applies)
      .map(([, status, description]) => [status, { description, ...PROBLEM }]),
  );
}

const bodyTypes = (schema: TSchema, method: string, example: unknown): Json => ({
  'application/json': { schema, example },
  ...(method === 'PATCH' && { 'application/merge-patch+json': { schema, example } }),
});

/** By default JSON; a schema can say otherwise. */
const mediaTypes = (schema: TSchema, example: unknown): Json => ({
  [String(schema['contentMediaType'] ?? 'application/json')]: { schema, example },
  ...(schema['alsoAsText'] !== undefined && { 'text/plain': { schema: { type: 'string' } } }),
});

function responses(answers: Readonly<Record<string, TSchema>>, example: Example): Json {
  const described = Object.entries(answers).map(([status, schema]) => [
    status,
    schema['type'] === 'null'
      ? { description: 'done' }
      : {
          description: schema.description ?? 'done',
          content: mediaTypes(schema, example.others?.[status] ?? example.response),
        },
  ]);
  const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  return {
    ...Object.fromEntries(described),
    default: { description: 'a problem (RFC 9457)', content: problem },
  };
}
