import { fastify } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { type CheckResult, type HealthCheck, healthRoutes } from '../../../shared/runtime/health.ts';
import { Metrics } from '../../../shared/runtime/metrics.ts';

const up = (): CheckResult => ({ state: 'up' });
const down = (): CheckResult => ({ state: 'down', reason: 'connection refused' });
const apps: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

async function readyz(checks: Record<string, HealthCheck>, draining = false) {
  const app = fastify();
  apps.push(app);
  healthRoutes(app, { checks, metrics: new Metrics(), draining: () => draining });
  const answer = await app.inject('/readyz');
  return { status: answer.statusCode, body: answer.json() };
}

describe('readiness', () => {
  it('200 ready when every dependency is up', async () => {
    const { status, body } = await readyz({ postgres: { required: true, check: up } });
    expect([status, body.status]).toEqual([200, 'ready']);
  });
  it('200 degraded, with the reason, when one that calls can do without is down', async () => {
    const { status, body } = await readyz({
      postgres: { required: false, check: down },
      sip: { required: true, check: up },
    });
    expect([status, body.status]).toEqual([200, 'degraded']);
    expect(body.checks.postgres).toEqual({ state: 'down', reason: 'connection refused' });
  });
  it('503 when a required one is down', async () => {
    expect((await readyz({ sip: { required: true, check: down } })).status).toBe(503);
  });
  it('503 while draining, whatever is up', async () => {
    const { status, body } = await readyz({ sip: { required: true, check: up } }, true);
    expect([status, body.status]).toEqual([503, 'draining']);
  });
  it('a check that hangs is down, not a readiness that hangs', async () => {
    const { body } = await readyz({ postgres: { required: false, check: () => new Promise(() => {}) } });
    expect(body.checks.postgres.reason).toMatch(/no answer within/);
  });
  it('a check that throws is down with its message', async () => {
    const check = () => {
      throw new Error('boom');
    };
    expect((await readyz({ postgres: { required: true, check } })).body.checks.postgres.reason).toBe('boom');
  });
  it('/healthz answers and /metrics has the prefix', async () => {
    const app = fastify();
    apps.push(app);
    healthRoutes(app, { checks: {}, metrics: new Metrics({ site: 'a' }), draining: () => false });
    expect((await app.inject('/healthz')).statusCode).toBe(200);
    expect((await app.inject('/metrics')).body).toMatch(/lastcall_process_cpu_seconds_total\{site="a"\}/);
  });
});
