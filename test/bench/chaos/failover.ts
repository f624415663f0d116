/** Two sites under SIPp's calls, one of them with a standby under repmgr, and everything that can be killed is. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startLab } from '../../support/lab.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type Fault, LONG, SHORT, type Stage } from './faults.ts';
import { primaryUrl, untilEqual, untilStreaming } from './lab-faults.ts';
import { counted, type FaultReport, reportTable, tallyCalls } from './tally.ts';
import { Town, terminalsFor } from './town.ts';

/** Of calls before a fault and after it. */
const QUIET_MS = 3_000;

/** Returns whether every bar held. */
export async function chaos(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: { quick: { type: 'boolean', default: false }, rate: { type: 'string', default: '50' } },
  });
  const rate = Number(values.rate);
  console.log('Starting two sites, site a with a standby under repmgr ...');
  const lab = await startLab(['--ha', '--pg', 'system', '--terminals', String(terminalsFor(rate))]);
  const reports: FaultReport[] = [];
  let town: Town | null = null;
  try {
    const endpoints = await lab.endpoints();
    await untilStreaming(endpoints, 'a');
    town = await Town.settle(endpoints, join(lab.dataDir, 'sipp'), rate);
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
  await fault.prepare?.(stage);
  await Promise.all(town.sites.map((site) => town.call(site)));
  await delay(QUIET_MS);
  await fault.approach?.(stage);
  const struckAtMs = Date.now();
  const { salvaged = 0, back } = await fault.strike(stage);
  await untilStreaming(endpoints, 'a');
  const streamingMs = Date.now() - struckAtMs;
  await delay(QUIET_MS);
  await untilEqual(endpoints, 'a');
  const equalMs = Date.now() - struckAtMs;
  await Promise.all(town.sites.map((site) => town.rest(site)));
  const lost = await lostRecords(stage);
  const forgiven = back ? { site: back.site, fromMs: struckAtMs, toMs: back.atMs } : null;
  const calls = tallyCalls(town.takeJudged(), forgiven);
  return {
    ...calls,
    fault: fault.name,
    durationMs: Date.now() - struckAtMs,
    lost: lost.length,
    salvaged,
    streamingMs,
    equalMs,
    remarks: [...calls.remarks, ...lost.map((what) => `lost: ${what}`)],
    faults: [
      ...calls.faults,
      ...counted(lost.length, 'records lost'),
      ...(fault.mustSalvage && salvaged === 0 ? ['nothing salvaged'] : []),
    ],
  };
}

/** With nobody calling, both sites must show what the model knows. */
async function lostRecords({ endpoints, town }: Stage): Promise<string[]> {
  const primaries = await Promise.all(town.sites.map((site) => primaryUrl(endpoints, site)));
  let lost: string[] = [];
  await waitFor(
    async () => {
      lost = (await Promise.all(primaries.map((url) => town.lostAt(url)))).flat();
      return lost.length === 0;
    },
    { what: 'no record to be missing', deadlineMs: 10_000, everyMs: 200 },
  ).catch(() => undefined);
  return lost;
}
