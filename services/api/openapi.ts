import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TObject, TSchema } from '@sinclair/typebox';
import type { RouteOptions } from 'fastify';
import type { Role } from '../../shared/domain/role.ts';
import { packageRoot } from '../../shared/runtime/package-root.ts';
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
    reply.type('application/json').send(JSON.stringify({ ...DOCUMENT, info: info(), paths })),
  );
}

const DOCUMENT = {
  openapi: '3.1.0',
  servers: [{ url: '/' }],
  components: {
    securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    schemas: { Problem },
  },
} as const;

function info(): Json {
  const { version, description } = JSON.parse(
    readFileSync(join(packageRoot(), 'package.json'), 'utf8'),
  ) as Json;
  return { title: 'Lastcall', version, description };
}

function operation(route: RouteOptions, method: string): Json {
  const schema = (route.schema ?? {}) as RouteSchema;
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
      requestBody: { required: true, content: { 'application/json': { schema: schema.body } } },
    }),
    responses: responses(schema.response ?? {}),
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

function responses(answers: Readonly<Record<string, TSchema>>): Json {
  const described = Object.entries(answers).map(([status, schema]) => [
    status,
    schema['type'] === 'null'
      ? { description: 'done' }
      : { description: schema.description ?? 'done', content: { 'application/json': { schema } } },
  ]);
  const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  return {
    ...Object.fromEntries(described),
    default: { description: 'a problem (RFC 9457)', content: problem },
  };
}
