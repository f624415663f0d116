import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';

const PROGRAM = fileURLToPath(new URL('./lifecycle-process.mjs', import.meta.url));

/** Starts the program; `lines` are what its parts said, `exit` its status once it has ended. */
function run(fault = '') {
  const child = spawn(process.execPath, [PROGRAM, fault], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
  });
  const exit = new Promise<number | null>((resolve) => child.on('close', resolve));
  const lines = () => output.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  const said = (line: string) => waitFor(() => lines().includes(line), { what: line });
  return { child, exit, lines, said, log: () => output };
}

describe('a process', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('%s stops its parts in reverse and ends with 0', async (signal) => {
    const { child, exit, lines, said } = run();
    await said('up');
    child.kill(signal);
    expect(await exit).toBe(0);
    expect(lines()).toEqual(['start database', 'start sip', 'up', 'stop sip', 'stop database']);
  });

  it('a second signal ends it at once with 1', async () => {
    const { child, exit, said } = run('hang');
    await said('up');
    child.kill('SIGTERM');
    await said('hanging');
    child.kill('SIGTERM');
    expect(await exit).toBe(1);
  });

  it('a part that cannot start: those before it are stopped, the reason is logged, status 1', async () => {
    const { exit, lines, log } = run('throw');
    expect(await exit).toBe(1);
    expect(lines()).toEqual(['start database', 'stop sip', 'stop database']);
    expect(log()).toContain('no start');
  });

  it('a rejection that nobody handles is logged and ends it with 1, for the supervisor to start it anew', async () => {
    const { exit, log } = run('reject');
    expect(await exit).toBe(1);
    expect(log()).toContain('nobody waits');
  });
});
