import { type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Runs a program to its end and returns its standard output; throws with its standard error when it fails. */
export async function runProgram(file: string, args: string[], options: SpawnOptions = {}): Promise<string> {
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk));
  const [status, signal] = await once(child, 'close');
  if (status === 0) return Buffer.concat(output).toString();
  const said = Buffer.concat(errors.length > 0 ? errors : output).toString();
  throw new Error(`${file} ended with ${signal ?? status}: ${said.trim()}`);
}
