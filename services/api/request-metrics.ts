import type { Metrics } from '../../shared/runtime/metrics.ts';
import type { ApiApp } from './typebox-provider.ts';

const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** Requests and their duration by route pattern, never by path: a path holds numbers. */
export function countRequests(app: ApiApp, metrics: Metrics): void {
  const durations = metrics.histogram('api_request_seconds', 'Duration of REST requests', SECONDS, [
    'method',
    'route',
    'status',
  ]);
  app.addHook('onResponse', async (request, reply) => {
    const labels = {
      method: request.method,
      route: request.routeOptions.url ?? 'none',
      status: String(reply.statusCode),
    };
    durations.observe(labels, reply.elapsedTime / 1000);
  });
}
