import { readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  identifyProcess,
  type ProcessIdentity,
  signalQuietly,
  stillRuns,
} from '../../shared/servers/process-identity.ts';
import { sweepAbandonedServers } from '../../shared/servers/started-processes.ts';
import type { LabPlan } from './plan.ts';
import { makePrivateFolder } from './private-folder.ts';
import { writeAtomically } from './write-atomically.ts';

type PidFile = Pick<LabPlan, 'pidFile'>;

const STOP_DEADLINE_MS = 90_000;

/** The lab that runs from this data folder; `null` when none does, also when its process id now means another process. */
export function runningLab({ pidFile }: PidFile): ProcessIdentity | null {
  try {
    const identity = JSON.parse(readFileSync(pidFile, 'utf8')) as ProcessIdentity;
    return stillRuns(identity) ? identity : null;
  } catch {
    return null;
  }
}

/** Says that this process is the lab of the data folder. */
export async function claimDataFolder({ pidFile }: PidFile): Promise<void> {
  await makePrivateFolder(dirname(pidFile));
  await writeAtomically(pidFile, JSON.stringify(identifyProcess(process.pid)));
}

export function releaseDataFolder({
  pidFile,
  endpointsFile,
}: Pick<LabPlan, 'pidFile' | 'endpointsFile'>): void {
  for (const file of [endpointsFile, pidFile]) rmSync(file, { force: true });
}

/** Stops the running lab in order, or by force when it takes too long; false when none ran. Sweeps what a killed one left. */
export async function stopRunningLab(files: Pick<LabPlan, 'pidFile' | 'endpointsFile'>): Promise<boolean> {
  const lab = runningLab(files);
  if (lab) {
    signalQuietly(lab.pid, 'SIGTERM');
    const deadline = performance.now() + STOP_DEADLINE_MS;
    while (stillRuns(lab) && performance.now() < deadline) await delay(50);
    if (stillRuns(lab)) signalQuietly(lab.pid, 'SIGKILL');
    while (stillRuns(lab)) await delay(50);
  }
  sweepAbandonedServers();
  releaseDataFolder(files);
  return lab !== null;
}
