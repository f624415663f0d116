import { type FastifyInstance, fastify } from 'fastify';
import type { HostPort } from './config-field.ts';
import type { Metrics } from './metrics.ts';

export interface CheckResult {
  readonly state: 'up' | 'degraded' | 'down';
  readonly reason?: string;
}

/** One dependency. `required`: without it this process serves nobody. */
export interface HealthCheck {
  readonly required: boolean;
  readonly check: () => CheckResult | Promise<CheckResult>;
}

export interface Readiness {
  readonly status: 'ready' | 'degraded' | 'not ready' | 'draining';
  readonly checks: Readonly<Record<string, CheckResult>>;
}

export interface HealthOptions {
  readonly checks: Readonly<Record<string, HealthCheck>>;
  readonly metrics: Metrics;
  readonly draining: () => boolean;
}

/** What may be asked for over HTTP; the metrics may be those of several processes. */
export type HealthRoutes = Omit<HealthOptions, 'metrics'> & {
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
};

const CHECK_BUDGET_MS = 1_000;

/** What a load balancer should know: ready and degraded take traffic, the others do not. */
export async function readiness({
  checks,
  draining,
}: Pick<HealthOptions, 'checks' | 'draining'>): Promise<Readiness> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, { required, check }]) => ({
      name,
      required,
      result: await bounded(check),
    })),
  );
  const byName = Object.fromEntries(results.map(({ name, result }) => [name, result]));
  if (draining()) return { status: 'draining', checks: byName };
  if (results.some(({ required, result }) => required && result.state === 'down'))
    return { status: 'not ready', checks: byName };
  const whole = results.every(({ result }) => result.state === 'up');
  return { status: whole ? 'ready' : 'degraded', checks: byName };
}

async function bounded(check: HealthCheck['check']): Promise<CheckResult> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<CheckResult>((resolve) => {
    timer = setTimeout(
      () => resolve({ state: 'down', reason: `no answer within ${CHECK_BUDGET_MS} ms` }),
      CHECK_BUDGET_MS,
    );
  });
  try {
    return await Promise.race([Promise.resolve().then(check), expiry]);
  } catch (error) {
    return { state: 'down', reason: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** Adds /healthz, /readyz and /metrics to an app: the api's own, or the small one of {@link startHealth}. */
export function healthRoutes(app: FastifyInstance, options: HealthRoutes): void {
  app.get('/healthz', async () => ({ status: 'alive' }));
  app.get('/readyz', async (_request, reply) => {
    const ready = await readiness(options);
    return reply.code(ready.status === 'ready' || ready.status === 'degraded' ? 200 : 503).send(ready);
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(options.metrics.contentType).send(await options.metrics.text()),
  );
}

/** The health listener of a service without REST of its own. Resolves when it listens. */
export async function startHealth(options: HealthRoutes, listen: HostPort): Promise<FastifyInstance> {
  const app = fastify({ forceCloseConnections: true });
  healthRoutes(app, options);
  await app.listen({ host: listen.host, port: listen.port });
  return app;
}
