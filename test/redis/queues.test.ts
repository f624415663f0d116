import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';

const CHILD = fileURLToPath(new URL('./queue-process.mjs', import.meta.url));
let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.remove());

test('Redis killed under a queue and a worker: the log tells it, stderr stays empty, and closed they hold up no process', async () => {
  const child = spawn(process.execPath, [CHILD, server.url], { stdio: 'pipe' });
  try {
    const stderr = text(child.stderr);
    let stdout = '';
    child.stdout.on('data', (data) => {
      stdout += data;
    });
    await waitFor(() => stdout.startsWith('ready'), { what: 'both to be connected' });
    await server.kill();
    await waitFor(() => /ECONNREFUSED.*"queue":"alert"/.test(stdout), { what: 'the loss to be logged' });
    const exited = once(child, 'exit');
    child.stdin.end();
    expect(await exited).toEqual([0, null]);
    expect(await stderr).toBe('');
  } finally {
    child.kill('SIGKILL');
  }
});
