import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openKept, ringDirectory } from '../support/kept-calls.ts';
import { waitFor } from '../support/wait-for.ts';

const CHILD = fileURLToPath(new URL('./ring-keeping-process.mjs', import.meta.url));

test('rule 31 kill -9 of a process while it keeps: every record it told of is with the next one', async () => {
  const directory = ringDirectory();
  const child = spawn(process.execPath, [CHILD, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const told: number[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => told.push(Number(line)));
  const ended = new Promise((resolve) => child.once('close', resolve));
  await waitFor(() => told.length > 3_000, { what: 'records' });
  child.kill('SIGKILL');
  await ended;
  const kept = await openKept({ directory, bytes: 16_777_216 });
  expect(told.filter((id) => kept.find(id) === undefined)).toEqual([]);
  await kept.close();
});
