import type { Endpoints } from '../../../services/lab/endpoints.ts';
import { processTree, signalQuietly } from '../../../shared/servers/process-identity.ts';
import type { RunningLab } from '../../support/lab.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { Forgiven } from './tally.ts';

/** Everybody who waited calls at once, and the first lookups of a process are its slowest. */
const FIRST_CALLS_MS = 2_000;

async function pidsOf(lab: RunningLab, site: string): Promise<Readonly<Record<string, number>>> {
  return (await lab.endpoints()).sites[site]?.pids ?? {};
}

async function pidOf(lab: RunningLab, site: string, part: string): Promise<number> {
  const pid = (await pidsOf(lab, site))[part];
  if (pid === undefined) throw new Error(`the lab runs no ${site}.${part}`);
  return pid;
}

/** SIGKILL for one part of the lab, as endpoints.json names it. */
export async function killPart(lab: RunningLab, site: string, part: string): Promise<void> {
  process.kill(await pidOf(lab, site, part), 'SIGKILL');
}

/** The site loses its power: SIGKILL for all that it runs, in one go, and nothing comes back by itself. */
export async function powerOff(lab: RunningLab, site: string): Promise<void> {
  const pids = Object.values(await pidsOf(lab, site)).flatMap(processTree);
  for (const pid of pids) signalQuietly(pid, 'SIGKILL');
  await runLab(lab, '--halt', site);
}

/** SIGSTOP for a part and all that it started; `wake` lets them go on. */
export async function freezePart(lab: RunningLab, site: string, part: string): Promise<{ wake(): void }> {
  const pids = processTree(await pidOf(lab, site, part));
  for (const pid of pids) signalQuietly(pid, 'SIGSTOP');
  return {
    wake() {
      for (const pid of pids) signalQuietly(pid, 'SIGCONT');
    },
  };
}

/** SIGKILL for a site's call-control, and until when calls there may fail: its next life is ready. */
export async function killCallControl(lab: RunningLab, site: string): Promise<Forgiven> {
  const before = await pidOf(lab, site, 'call-control');
  const fromMs = Date.now();
  process.kill(before, 'SIGKILL');
  return { site, fromMs, toMs: await untilCallControl(lab, site, before) };
}

/** Until a site's call-control, another process than `before`, is ready; from when on it must serve. Its health is one port after the api. */
export async function untilCallControl(lab: RunningLab, site: string, before: number): Promise<number> {
  const ready = new URL('/readyz', (await lab.endpoints()).sites[site]?.api);
  ready.port = String(Number(ready.port) + 1);
  await waitFor(
    async () => {
      const pid = (await pidsOf(lab, site))['call-control'];
      return pid !== undefined && pid !== before && (await fetch(ready)).ok;
    },
    { what: `call-control of ${site} to be ready again`, deadlineMs: 60_000 },
  );
  return Date.now() + FIRST_CALLS_MS;
}

/** `--halt` or `--revive` a part. */
export async function runLab(lab: RunningLab, ...words: string[]): Promise<void> {
  const { status, stderr } = await lab.command(...words);
  if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr}`);
}

/** Without these parts for as long as `meanwhile` takes. */
export async function without(
  lab: RunningLab,
  parts: readonly string[],
  meanwhile: () => Promise<unknown>,
): Promise<void> {
  await Promise.all(parts.map((part) => runLab(lab, '--halt', part)));
  await meanwhile();
  await Promise.all(parts.map((part) => runLab(lab, '--revive', part)));
}

/** The owner's URL of a site's database as the lab made it. */
export const databaseUrl = ({ sites }: Endpoints, site: string): string => sites[site]?.postgres ?? '';
