import { spawn } from 'node:child_process';

const LIMIT_MS = 60_000;

/** Runs a shell command with {host} and {port} of `host:port`. Throws with the last line that it wrote when it fails. */
export async function runHostCommand(command: string, label: string): Promise<void> {
  const [, host = '', port = ''] = /^([\w.:[\]-]+):(\d+)$/.exec(label) ?? [];
  if (host === '') throw new Error(`${label} is no host name`);
  const script = command.replaceAll('{host}', host).replaceAll('{port}', port);
  const child = spawn('/bin/sh', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      said = (said + data).slice(-4_000);
    });
  const status = await new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  if (status !== 0)
    throw new Error(`the command ended with ${status}: ${said.trim().split('\n').at(-1) ?? ''}`);
}
