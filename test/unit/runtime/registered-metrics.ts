import { pino } from 'pino';
import { Registry } from 'prom-client';
import { wireApi } from '../../../services/api/wire.ts';
import { CallControl } from '../../../services/call-control/call-control.ts';
import { coordinatorMetrics } from '../../../services/coordinator/metrics.ts';
import { exposeReplication } from '../../../services/replicator/metrics.ts';
import { parseConfig } from '../../../shared/runtime/config.ts';
import { Metrics } from '../../../shared/runtime/metrics.ts';

export interface DescribedMetric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly services: readonly string[];
}

/** The files that register metrics; {@link describeMetrics} wires all of them. */
export const REGISTERED_IN = [
  'services/api/request-metrics.ts',
  'services/api/routes/calls.ts',
  'services/call-control/call-metrics.ts',
  'services/call-control/site-stores.ts',
  'services/call-control/sip-metrics.ts',
  'services/coordinator/metrics.ts',
  'services/replicator/metrics.ts',
  'shared/recording/recording.ts',
];

const CONFIG = `
site: a
domain: lastcall.test
postgres: { url: "postgres://lastcall_app:pw-of-nobody@127.0.0.1:1/nowhere" }
redis: { url: "redis://127.0.0.1:1" }
sip: { udp: "127.0.0.1:0", siteKey: key-of-nobody-0123456789-0123456789 }
`;

/** What each service registers when it is wired as its process wires it; nothing is started. By name. */
export async function describeMetrics(): Promise<readonly DescribedMetric[]> {
  const config = parseConfig(CONFIG, {});
  const log = pino({ level: 'silent' });
  const found = new Map<string, DescribedMetric>();
  const wiring: readonly (readonly [service: string, wire: () => unknown])[] = [
    ['call-control', () => new CallControl({ config, log })],
    ['api', () => wireApi(config, log)],
    ['replicator', () => exposeReplication(new Metrics(), { directions: [], targets: [] }, 1_000)],
    ['coordinator', () => coordinatorMetrics(new Metrics(), () => null)],
  ];
  for (const [service, wire] of wiring)
    for (const metric of registeredBy(wire)) {
      const services = [...(found.get(metric.name)?.services ?? []), service];
      found.set(metric.name, { ...metric, services });
    }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A metric as prom-client keeps it; its types hide these. */
interface KeptMetric {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly constructor: { readonly name: string };
}

function registeredBy(wire: () => unknown): Omit<DescribedMetric, 'services'>[] {
  const metrics: Omit<DescribedMetric, 'services'>[] = [];
  const { registerMetric } = Registry.prototype;
  Registry.prototype.registerMetric = function (metric) {
    const { constructor: kind, help, labelNames, name } = metric as unknown as KeptMetric;
    if (!/^lastcall_(process|nodejs)_/.test(name))
      metrics.push({ name, type: kind.name.toLowerCase(), help, labels: labelNames });
    return registerMetric.call(this, metric);
  };
  try {
    wire();
  } finally {
    Registry.prototype.registerMetric = registerMetric;
  }
  return metrics;
}
