/** Two sites under calls, one of them with a standby under repmgr, and everything that can be killed is. */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Endpoints } from '../../../services/lab/endpoints.ts';
import { findPrimary } from '../../../shared/postgres/find-primary.ts';
import { type RunningLab, startLab } from '../../support/lab.ts';
import { waitFor } from '../../support/wait-for.ts';
import { failovers, killPart, untilEqual, untilFailedOver, untilStreaming } from './lab-faults.ts';
import { type FaultReport, reportTable } from './tally.ts';
import { Town } from './town.ts';

interface Stage {
  readonly lab: RunningLab;
  readonly endpoints: Endpoints;
  readonly town: Town;
}

interface Fault {
  readonly name: string;
  /** Does it, and returns what a failover salvaged, if there was one. */
  readonly strike: (stage: Stage) => Promise<number>;
  /** How long after the kill calls may fail: those in the killed process, until it is back and ready. */
  readonly mayFailMs: number;
}

const QUIET_MS = 3_000;
const HOUSEHOLDS = 8;
/** Restarted within 2 seconds; phones retransmit for some more. */
const CALL_CONTROL_MS = 10_000;

const kill = (site: string, part: string, mayFailMs = 0): Fault => ({
  name: `kill -9 ${site}.${part}`,
  mayFailMs,
  strike: async ({ lab }) => {
    await killPart(lab, site, part);
    return 0;
  },
});

const PRIMARY: Fault = {
  name: "kill -9 of a's primary, repmgr promotes",
  mayFailMs: 0,
  strike: async ({ lab, endpoints }) => {
    const known = new Set((await failovers(endpoints)).map(({ id }) => id));
    await killPart(lab, 'a', 'postgres');
    return untilFailedOver(endpoints, known);
  },
};

const WHOLE_SITE: Fault = {
  name: 'site b stops, its phones move to a',
  mayFailMs: 0,
  strike: async ({ lab, endpoints, town }) => {
    const households = town.households.get('b') ?? [];
    const move = async (site: string): Promise<void> => {
      await town.rest('b');
      await Promise.all(
        households.map((household) => household.moveTo(`sip:${endpoints.sites[site]?.sip.udp}`)),
      );
      town.wake('b');
    };
    await town.rest('b');
    await untilEqual(endpoints, 'a');
    await lab.command('--halt', 'b');
    await move('a');
    await delay(QUIET_MS);
    await lab.command('--revive', 'b');
    await untilStreaming(endpoints, 'a');
    await move('b');
    return 0;
  },
};

const SHORT: readonly Fault[] = [PRIMARY, kill('a', 'call-control', CALL_CONTROL_MS), kill('a', 'redis')];
const LONG: readonly Fault[] = [
  ...SHORT,
  kill('b', 'postgres'),
  kill('a', 'replicator'),
  kill('b', 'replicator'),
  kill('a', 'coordinator'),
  kill('a', 'api'),
  kill('b', 'redis'),
  kill('b', 'call-control', CALL_CONTROL_MS),
  WHOLE_SITE,
];

/** Returns whether every bar held. */
export async function chaos(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: { quick: { type: 'boolean', default: false }, rate: { type: 'string', default: '50' } },
  });
  console.log('Starting two sites, site a with a standby under repmgr ...');
  const lab = await startLab(['--ha', '--pg', 'system', '--terminals', String(2 * 3 * HOUSEHOLDS)]);
  const reports: FaultReport[] = [];
  let town: Town | null = null;
  try {
    const endpoints = await lab.endpoints();
    await untilStreaming(endpoints, 'a');
    town = await Town.settle(endpoints, HOUSEHOLDS);
    town.start(Number(values.rate));
    await delay(QUIET_MS);
    for (const fault of values.quick ? SHORT : LONG) {
      const report = await underFault(fault, { lab, endpoints, town });
      reports.push(report);
      console.log(`\n${reportTable([report])}`);
      for (const remark of report.remarks.slice(0, 10)) console.log(`  ${remark}`);
    }
  } catch (error) {
    console.error(lab.output().slice(-4_000));
    throw error;
  } finally {
    await town?.stop();
    await lab.remove();
  }
  console.log(`\n${reportTable(reports)}`);
  return reports.every(({ faults }) => faults.length === 0);
}

async function underFault(fault: Fault, stage: Stage): Promise<FaultReport> {
  const { endpoints, town } = stage;
  const tally = town.count();
  const struckAtMs = town.nowMs();
  const startedAt = performance.now();
  const since = (): number => performance.now() - startedAt;
  const salvaged = await fault.strike(stage);
  await untilStreaming(endpoints, 'a');
  const streamingMs = since();
  await delay(QUIET_MS);
  await untilEqual(endpoints, 'a');
  const equalMs = since();
  const lost = await lostRecords(stage);
  tally.remarks.push(...lost.map((what) => `lost: ${what}`));
  // Only what the killed process was asked, until it is back, may fail.
  const unforgiven = (atMs: readonly number[]): number =>
    atMs.filter((at) => fault.mayFailMs === 0 || at > struckAtMs + fault.mayFailMs).length;
  const counts = [
    [unforgiven(tally.failedAtMs), 'calls failed'],
    [tally.wrong, 'wrong numbers'],
    [unforgiven(tally.refusedAtMs), 'star codes refused'],
    [lost.length, 'records lost'],
  ] as const;
  const faults = counts.flatMap(([count, what]) => (count > 0 ? [`${count} ${what}`] : []));
  return {
    ...tally,
    fault: fault.name,
    durationMs: since(),
    lost: lost.length,
    salvaged,
    streamingMs,
    equalMs,
    faults,
  };
}

/** With every household at rest, both sites must show what the model knows. */
async function lostRecords({ endpoints, town }: Stage): Promise<string[]> {
  const sites = Object.entries(endpoints.sites);
  for (const [site] of sites) await town.rest(site);
  let lost: string[] = [];
  const primaries = await Promise.all(sites.map(([site, { postgres }]) => primaryUrl(site, postgres)));
  await waitFor(
    async () => {
      lost = (await Promise.all(primaries.map((url) => town.lostAt(url)))).flat();
      return lost.length === 0;
    },
    { what: 'no record to be missing', deadlineMs: 10_000, everyMs: 200 },
  ).catch(() => undefined);
  for (const [site] of sites) town.wake(site);
  return lost;
}

/** Site a's primary may be the standby by now, which the lab has ten ports further. */
function primaryUrl(site: string, url: string): Promise<string> {
  const port = new URL(url).port;
  const hosts = site === 'a' ? `127.0.0.1:${port},127.0.0.1:${Number(port) + 10}` : `127.0.0.1:${port}`;
  return findPrimary(url.replace(`127.0.0.1:${port}`, hosts), 3_000);
}
