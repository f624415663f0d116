import { expect, test } from 'vitest';
import { parseCommandLine } from '../../../services/lab/options.ts';
import { type LabPlan, neededPorts, planLab } from '../../../services/lab/plan.ts';

function planFor(...args: string[]): LabPlan {
  const command = parseCommandLine(args);
  if (command.do !== 'run') throw new Error('expected a start');
  return planLab(command.options, '/data');
}

test('the two sites stand on the ports that the documentation names', () => {
  const [a, b] = planFor().sites;
  expect(a?.ports).toMatchObject({
    sip: 5060,
    sipTls: 5061,
    ws: 5062,
    wss: 5063,
    api: 8080,
    postgres: 55432,
    redis: 56379,
  });
  expect(b?.ports).toMatchObject({
    sip: 5070,
    sipTls: 5071,
    ws: 5072,
    wss: 5073,
    api: 8090,
    postgres: 55433,
    redis: 56380,
  });
});

test('the offset moves every port', () => {
  const ports = (plan: LabPlan): number[] => neededPorts(plan, true).map(({ port }) => port);
  const moved = ports(planFor('--port-offset', '1000'));
  expect(moved).toEqual(ports(planFor()).map((port) => port + 1000));
});

test.each([['--sites=2'], ['--sites=5'], ['--ha']])('with %s no port is needed twice', (...args) => {
  const needed = neededPorts(planFor(...args), true).map(({ transport, port }) => `${port}/${transport}`);
  expect(new Set(needed).size).toBe(needed.length);
});

test('a server that runs already needs no port for PostgreSQL', () => {
  const wanted = neededPorts(planFor(), false).map(({ what }) => what);
  expect(wanted.filter((what) => what.startsWith('PostgreSQL'))).toEqual([]);
});

test('everything a lab writes stands in its data folder', () => {
  const plan = planFor();
  const files = [plan.logDir, plan.endpointsFile, plan.secretsFile, plan.pidFile, plan.sites[1]?.configFile];
  expect(files).toEqual([
    '/data/logs',
    '/data/endpoints.json',
    '/data/secrets.json',
    '/data/lab.pid',
    '/data/b.yaml',
  ]);
});
