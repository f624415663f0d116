import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { KeptCalls } from '../../shared/ring/kept-calls.ts';

/** A folder for the ring files of one test run, gone with its process. */
export function ringDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'lastcall-ring-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface KeptPlace {
  readonly directory?: string;
  readonly bytes?: number;
  readonly site?: string;
  readonly service?: string;
}

/** Kept calls with a real ring file, of a process of site a unless told otherwise. */
export async function openKept({
  directory = ringDirectory(),
  bytes = 1_048_576,
  site = 'a',
  service = 'test',
}: KeptPlace = {}): Promise<KeptCalls> {
  const log = pino({ level: 'silent' });
  const kept = new KeptCalls({ directory, bytes, fdatasync: false, site, service, log });
  await kept.open();
  return kept;
}
