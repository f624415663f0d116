import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { freePort } from '../../shared/servers/free-port.ts';
import { passwordOf } from './site-terminals.ts';

export interface SippOptions {
  /** `host:port` that requests go to; absent for a scenario that is called. */
  readonly target?: string;
  /** The number or star code. */
  readonly service?: string;
  readonly port?: number;
  readonly calls?: number;
  /** Calls a second. */
  readonly rate?: number;
  readonly transport?: 'u1' | 't1';
  /** `[user]` in the scenario, and whose password answers a challenge. */
  readonly user?: string;
  /** Further `[name]`s in the scenario. */
  readonly keys?: Readonly<Record<string, string>>;
}

export interface SippRun {
  /** Rejects with what SIPp said when a call did not go as the scenario says. */
  readonly succeeded: Promise<void>;
  readonly port: number;
}

const credentials = (user: string): string[] => ['-key', 'user', user, '-au', user, '-ap', passwordOf(user)];

const DEADLINE_MS = 20_000;

/** Runs a scenario of sip-scenarios/ to its end. Killed after 20 s: its own time limits can hang. */
export async function runSipp(scenario: string, options: SippOptions = {}): Promise<SippRun> {
  const port = options.port ?? (await freePort());
  const keys = Object.entries(options.keys ?? {}).flatMap(([name, value]) => ['-key', name, value]);
  const args = [
    ...(options.target === undefined ? [] : [options.target]),
    ...[
      '-sf',
      join(packageRoot(), 'sip-scenarios', `${scenario}.xml`),
      '-i',
      '127.0.0.1',
      '-p',
      String(port),
    ],
    ...['-m', String(options.calls ?? 1), '-r', String(options.rate ?? 10), '-t', options.transport ?? 'u1'],
    ...(options.service === undefined ? [] : ['-s', options.service]),
    ...(options.user === undefined ? [] : credentials(options.user)),
    ...['-nostdin', '-recv_timeout', '10000', ...keys],
  ];
  const child = spawn('sipp', args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, TERM: 'dumb' },
  });
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString('latin1');
  });
  const kill = () => child.kill('SIGKILL');
  const deadline = setTimeout(kill, DEADLINE_MS);
  process.once('exit', kill);
  const succeeded = new Promise<void>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new Error('sipp cannot be run: apt-get install sip-tester', { cause })),
    );
    child.once('close', (code, signal) => {
      clearTimeout(deadline);
      process.off('exit', kill);
      if (code === 0) resolve();
      else reject(new Error(`sipp ${scenario}: ${signal ?? `exit status ${code}`}\n${said.slice(-4_000)}`));
    });
  });
  // Whoever waits for another one first must not leave this one's failure unhandled.
  succeeded.catch(() => {});
  return { succeeded, port };
}
