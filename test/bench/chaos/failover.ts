/** Two sites under SIPp's calls, one of them with a standby under repmgr, and everything that can be killed is. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startLab } from '../../support/lab.ts';
import { waitFor } from '../../support/wait-for.ts';
import { untilEqual, untilStreaming } from './asked-lab.ts';
import type { Fault, Stage } from './fault.ts';
import { kill, LONG, SHORT } from './faults.ts';
import { fill } from './fill.ts';
import { primaryUrl } from './ha-pair.ts';
import { counted, type FaultReport, reportSummary, reportTable, tallyFindings } from './tally.ts';
import { Town, terminalsFor } from './town.ts';

/** Of calls before a fault and after it. */
const QUIET_MS = 3_000;
const KILLS = 12;
const SHOWN_REMARKS = 20;

/** Returns whether every bar held. */
export async function chaos(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      rate: { type: 'string', default: '50' },
      only: { type: 'string', default: '' },
      rows: { type: 'string', default: '0' },
    },
  });
  const faults = (values.quick ? SHORT : LONG).filter(({ name }) => new RegExp(values.only).test(name));
  return underFaults(faults, Number(values.rate), Number(values.rows));
}

/** Call-control is killed again and again, at this site and that, under as many calls as it serves. */
export async function kills(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: { rate: { type: 'string', default: '500' } },
  });
  const faults = Array.from({ length: KILLS }, (_, index): Fault => {
    return { ...kill(index % 2 ? 'b' : 'a', 'call-control'), mayRefuse: true };
  });
  return underFaults(faults, Number(values.rate));
}

async function underFaults(faults: readonly Fault[], rate: number, rows = 0): Promise<boolean> {
  console.log('Starting two sites, site a with a standby under repmgr ...');
  const lab = await startLab(['--ha', '--pg', 'system', '--terminals', String(terminalsFor(rate))]);
  const reports: FaultReport[] = [];
  let town: Town | null = null;
  try {
    const endpoints = await lab.endpoints();
    await untilStreaming(endpoints, 'a');
    if (rows > 0) await fill(endpoints, rows);
    town = await Town.settle(endpoints, join(lab.dataDir, 'sipp'), rate);
    for (const fault of faults) {
      const report = await underFault(fault, { lab, endpoints, town });
      reports.push(report);
      console.log(`\n${reportTable([report])}`);
      if (report.steps.length > 0) console.log(`  steps: ${report.steps.join(', ')}`);
      for (const remark of report.remarks.slice(0, SHOWN_REMARKS)) console.log(`  ${remark}`);
    }
  } catch (error) {
    console.error(lab.output().slice(-4_000));
    throw error;
  } finally {
    await town?.stop();
    await lab.remove();
  }
  console.log(`\n${reportTable(reports)}\n\n${reportSummary(reports)}`);
  return reports.every(({ faults }) => faults.length === 0);
}

async function underFault(fault: Fault, stage: Stage): Promise<FaultReport> {
  const { endpoints, town } = stage;
  await fault.prepare?.(stage);
  await town.begin();
  await delay(QUIET_MS);
  await fault.approach?.(stage);
  const struckAtMs = Date.now();
  const { failedOver = null, forgiven = null, faults = [] } = await fault.strike(stage);
  await untilStreaming(endpoints, 'a');
  const streamingMs = (failedOver?.streamedAtMs ?? Date.now()) - struckAtMs;
  const salvaged = failedOver?.salvaged ?? 0;
  await delay(QUIET_MS);
  await untilEqual(endpoints, 'a');
  const equalMs = Date.now() - struckAtMs;
  await town.rest();
  const lost = await lostRecords(stage);
  const found = town.takeFindings();
  const findings = tallyFindings({ ...found, ...(fault.deaf && { wrongLooks: [] }) }, { ...fault, forgiven });
  return {
    ...findings,
    fault: fault.name,
    durationMs: Date.now() - struckAtMs,
    lost: lost.length,
    salvaged,
    streamingMs,
    equalMs,
    steps: failedOver?.steps ?? [],
    remarks: [...lost.map((what) => `lost: ${what}`), ...findings.remarks],
    faults: [
      ...findings.faults,
      ...faults,
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
