import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { parseSockets, portHolder } from '../../../services/lab/port-holder.ts';
import { restartDelayMs, Supervisor } from '../../../services/lab/supervisor.ts';
import { identifyProcess, pidExists, stillRuns } from '../../../shared/servers/process-identity.ts';
import type { Program } from '../../../shared/servers/server-process.ts';
import { waitFor } from '../../support/wait-for.ts';

const sleeper = (script: string): Program => ({
  file: process.execPath,
  args: ['-e', script],
  spawn: {},
  stopSignal: 'SIGTERM',
  ready: async () => true,
});

test('the first restart comes at once, a crash loop slows down to one every ten seconds', () => {
  expect([1, 2, 3, 4, 20].map(restartDelayMs)).toEqual([100, 200, 400, 800, 10_000]);
});

test('a killed program is started again within two seconds, under a new process id', async () => {
  const ends: string[] = [];
  const supervisor = new Supervisor({
    name: 'a.sleeper',
    program: sleeper('setInterval(() => {}, 1000)'),
    onEnd: ({ how }) => ends.push(how),
    onRestart: () => {},
  });
  supervisor.start();
  const first = await waitFor(() => supervisor.pid);
  process.kill(first, 'SIGKILL');
  const second = await waitFor(() => supervisor.pid !== first && supervisor.pid, { deadlineMs: 2_000 });
  expect(ends).toEqual(['SIGKILL']);
  await supervisor.stop();
  expect(identifyProcess(second)).toBeNull();
  expect(supervisor.pid).toBeNull();
});

test('a program that is stopped while it waits to be restarted stays stopped', async () => {
  const supervisor = new Supervisor({
    name: 'a.crasher',
    program: sleeper('process.exit(3)'),
    onEnd: () => {},
    onRestart: () => {},
  });
  supervisor.start();
  await waitFor(() => supervisor.deaths >= 2);
  await supervisor.stop();
  expect(supervisor.pid).toBeNull();
});

test('a process that ended is not taken for another one with its number', async () => {
  const child: ChildProcess = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  const identity = await waitFor(() => identifyProcess(child.pid ?? 0));
  expect(stillRuns(identity)).toBe(true);
  expect(stillRuns({ ...identity, startedAt: 'earlier' })).toBe(false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(stillRuns(identity)).toBe(false);
  expect(pidExists(identity.pid)).toBe(false);
});

test('the holder of a port is named with its process id', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  expect(portHolder('tcp', port)).toMatch(new RegExp(`\\(pid ${process.pid}\\)$`));
  server.close();
});

test('a listener is told from a connection that was merely given the port', () => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:D888 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0',
    '   1: 0100007F:D888 0100007F:7BA8 06 00000000:00000000 03:00000364 00000000     0        0 0 3 0',
    '   2: 0100007F:D889 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0',
  ].join('\n');
  expect(parseSockets(table, 55432)).toEqual([
    { inode: '4711', listening: true },
    { inode: '0', listening: false },
  ]);
});
