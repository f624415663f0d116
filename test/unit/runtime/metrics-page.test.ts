import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { packageRoot } from '../../../shared/runtime/package-root.ts';
import { readSources } from '../../support/sources.ts';
import { type DescribedMetric, describeMetrics, REGISTERED_IN } from './registered-metrics.ts';

const read = (path: string): string => readFileSync(join(packageRoot(), path), 'utf8');

let metrics: readonly DescribedMetric[];
/** Every name that Prometheus can be asked for, those of histograms included. */
let series: ReadonlySet<string>;
beforeAll(async () => {
  metrics = await describeMetrics();
  series = new Set(
    metrics.flatMap(({ name, type }) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
});

// After a change of a metric: npx vitest run test/unit/runtime/metrics-page.test.ts -u
it('docs/metrics.md says of every metric what the services register', async () => {
  const services = [...new Set(metrics.flatMap((metric) => metric.services))].sort();
  const chapters = services.map((service) => {
    const own = metrics.filter((metric) => metric.services.includes(service));
    return `## ${service}

| metric | kind | labels | what it says |
|---|---|---|---|
${own.map(row).join('\n')}
`;
  });
  const page = `# Metrics

Every process answers \`GET /metrics\` for Prometheus: the api at \`api.listen\`, the others at \`health.callControl\`,
\`health.replicator\` and \`health.coordinator\`. Names begin with \`lastcall_\`, units are seconds and bytes, and each sample
has the label \`site\`. A figure that is not known has no sample. Besides these tables every process has prom-client's own
\`lastcall_process_*\` and \`lastcall_nodejs_*\`: processor, memory, garbage collection, event-loop delay.

| file | what it is |
|---|---|
| [metrics/prometheus.yml](metrics/prometheus.yml) | scrapes two sites |
| [metrics/alerts.yml](metrics/alerts.yml) | alert rules, each with what to do |
| [metrics/alerts-test.yml](metrics/alerts-test.yml) | what must fire and what must not: \`promtool test rules docs/metrics/alerts-test.yml\` |
| [metrics/dashboard.json](metrics/dashboard.json) | a Grafana dashboard: import it and choose the Prometheus |

A test generates this page from what the services register. Lastcall's own notices, without Prometheus, are in
[operations/alerts.md](operations/alerts.md).

${chapters.join('\n')}`;
  await expect(page).toMatchFileSnapshot(join(packageRoot(), 'docs/metrics.md'));
});

it('a file that registers metrics is one that the page is made from', () => {
  const registering = readSources('services', 'shared')
    .filter((file) => /\bmetrics\.(counter|gauge|histogram)\(/.test(file.text))
    .map((file) => file.path);
  expect(registering.sort()).toEqual([...REGISTERED_IN].sort());
});

it('every series of the alert rules and of the dashboard is one that a service registers', () => {
  for (const file of [
    'docs/metrics/alerts.yml',
    'docs/metrics/alerts-test.yml',
    'docs/metrics/dashboard.json',
  ]) {
    const used = [...read(file).matchAll(/\blastcall_[a-z_]+\b/g)].map(([name]) => name);
    expect(used.length).toBeGreaterThan(5);
    expect({ file, unknown: used.filter((name) => !known(name)) }).toEqual({ file, unknown: [] });
  }
});

it('every alert says what to do and leads to a page', () => {
  const { groups } = parse(read('docs/metrics/alerts.yml')) as {
    groups: {
      rules: { alert: string; labels: Record<string, string>; annotations: Record<string, string> }[];
    }[];
  };
  const rules = groups.flatMap((group) => group.rules);
  expect(rules.length).toBeGreaterThan(8);
  for (const { alert, labels, annotations } of rules) {
    expect({ alert, severity: labels['severity'] }).toEqual({
      alert,
      severity: expect.stringMatching(/^(critical|warning)$/),
    });
    expect(annotations['summary']).toBeTruthy();
    expect(annotations['action']).toBeTruthy();
    expect(() => read(annotations['page'] ?? 'no page')).not.toThrow();
  }
});

const known = (name: string): boolean => series.has(name) || /^lastcall_(process|nodejs)_/.test(name);

function row({ name, type, help, labels }: DescribedMetric): string {
  const cells = [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(', '), help];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
