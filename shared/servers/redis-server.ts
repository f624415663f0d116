import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { type RestartableServer, restartable } from './restartable-server.ts';
import type { Program } from './server-process.ts';
import { privateTemporaryFolder } from './temporary-folder.ts';

export type RedisProgramOptions = {
  port: number;
  dataDir: string;
  /** Needed by every client; none: anybody who reaches the port. */
  password?: string;
  /** More `name value` pairs of redis.conf. */
  settings?: Record<string, string>;
  logFile?: string;
};

export type RedisServer = RestartableServer & {
  readonly port: number;
  readonly dataDir: string;
  readonly url: string;
  /** Stops the server if it runs and removes its data folder. */
  remove(): Promise<void>;
};

/** Every write is on disk a second later at the latest, and memory never evicts a job. */
const SETTINGS = { appendonly: 'yes', save: '', 'maxmemory-policy': 'noeviction', daemonize: 'no' };

/** `redis-server` or `valkey-server` on the PATH; `null` when neither is there. */
export function redisProgram(path = process.env.PATH ?? ''): string | null {
  const folders = path.split(':').filter(Boolean);
  const files = ['redis-server', 'valkey-server'].flatMap((name) =>
    folders.map((folder) => join(folder, name)),
  );
  return files.find((file) => existsSync(file)) ?? null;
}

/** Makes the data folder and says how to run Redis on it. */
export async function prepareRedis(options: RedisProgramOptions): Promise<{ program: Program; url: string }> {
  const { port, dataDir, logFile, password } = options;
  const file = redisProgram();
  if (!file) throw new Error('neither redis-server nor valkey-server is on the PATH');
  await mkdir(dataDir, { recursive: true });
  const settings = { bind: '127.0.0.1', port: String(port), dir: dataDir, ...SETTINGS, ...options.settings };
  const secretFile = password === undefined ? [] : [await writePassword(dataDir, password)];
  const program: Program = {
    file,
    args: [...secretFile, ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])],
    spawn: { cwd: '/' },
    stopSignal: 'SIGTERM',
    ready: () => answersPing(port, password),
    ...(logFile ? { logFile } : {}),
  };
  return { program, url: `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}` };
}

/** In a file: everybody on the machine sees a command line. */
async function writePassword(dataDir: string, password: string): Promise<string> {
  const file = join(dataDir, 'password.conf');
  await writeFile(file, `requirepass ${password}\n`, { mode: 0o600 });
  return file;
}

/** Starts Redis on 127.0.0.1, by default with a free port and a temporary folder; resolves when it answers PING. */
export async function startRedis(options: Partial<RedisProgramOptions> = {}): Promise<RedisServer> {
  const port = options.port ?? (await freePort());
  const dataDir = options.dataDir ?? (await mkdtemp(join(privateTemporaryFolder(), 'redis-')));
  const { program, url } = await prepareRedis({ ...options, port, dataDir });
  if (!options.dataDir) program.removeFolder = dataDir;
  const server = restartable(`Redis on port ${port}`, program);
  await server.start();
  return Object.assign(server, {
    port,
    dataDir,
    url,
    remove: async () => {
      await server.kill();
      await rm(dataDir, { recursive: true, force: true });
    },
  });
}

/** `+PONG`; while it loads its file the answer is `-LOADING`. */
async function answersPing(port: number, password: string | undefined): Promise<boolean> {
  const greeting = password === undefined ? '' : `AUTH ${password}\r\n`;
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${greeting}PING\r\nQUIT\r\n`));
    socket.setTimeout(1_000, () => socket.destroy());
    let heard = '';
    socket.on('data', (data) => {
      heard += data.toString();
    });
    socket.once('error', () => {});
    socket.once('close', () => resolve(heard));
  });
  if (answer.includes('+PONG')) return true;
  await delay(20);
  return false;
}
