import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface ProfileNode {
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly hitCount?: number;
}

/** What makes Node write a processor profile at its end, when one is wanted. */
export async function profileArgs(wanted: boolean): Promise<{ folder: string; args: string[] }> {
  if (!wanted) return { folder: '', args: [] };
  const folder = await mkdtemp(join(tmpdir(), 'lastcall-profile-'));
  return { folder, args: ['--cpu-prof', `--cpu-prof-dir=${folder}`] };
}

/** The functions that used most of the time by themselves, dearest first. */
export async function dearestFunctions(folder: string, most = 25): Promise<string> {
  const [file] = (await readdir(folder)).filter((name) => name.endsWith('.cpuprofile'));
  if (file === undefined) return 'no profile was written';
  const { nodes } = JSON.parse(await readFile(join(folder, file), 'utf8')) as { nodes: ProfileNode[] };
  const hits = new Map<string, number>();
  for (const { callFrame, hitCount = 0 } of nodes) {
    const place = callFrame.url.split('/').slice(-3).join('/');
    const name = `${callFrame.functionName || '(anonymous)'} ${place}:${callFrame.lineNumber + 1}`;
    hits.set(name, (hits.get(name) ?? 0) + hitCount);
  }
  const busy = [...hits].filter(([name]) => !/^\((idle|program|root)\)/.test(name));
  const all = busy.reduce((sum, [, count]) => sum + count, 0);
  return busy
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([name, count]) => `${((count / all) * 100).toFixed(1).padStart(5)} %  ${name}`)
    .join('\n');
}
