import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { type ServerProcess, startServerProcess } from './server-process.ts';
import { privateTemporaryFolder } from './temporary-folder.ts';

export type RedisOptions = {
  /** Default: a free one. */
  port?: number;
  /** Default: a temporary folder that is removed at the end. */
  dataDir?: string;
  /** More `name value` pairs of redis.conf. */
  settings?: Record<string, string>;
  logFile?: string;
};

export type RedisServer = {
  readonly port: number;
  readonly dataDir: string;
  readonly pid: number;
  readonly url: string;
  stop(): Promise<void>;
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Starts again after `stop` or `kill`, on the same port and data. */
  start(): Promise<void>;
  /** Stops the server if it runs and removes its data folder. */
  remove(): Promise<void>;
};

/** Every write is on disk when it is answered by the next second at the latest, and memory never evicts a job. */
const SETTINGS = { appendonly: 'yes', save: '', 'maxmemory-policy': 'noeviction', daemonize: 'no' };
const START_DEADLINE_MS = 30_000;

/** `redis-server` or `valkey-server` on the PATH; `null` when neither is there. */
export function redisProgram(path = process.env.PATH ?? ''): string | null {
  const programs = ['redis-server', 'valkey-server'];
  const folders = path.split(':').filter(Boolean);
  const files = programs.flatMap((program) => folders.map((folder) => join(folder, program)));
  return files.find((file) => existsSync(file)) ?? null;
}

/** Starts Redis on 127.0.0.1 and resolves when it answers PING. Never outlives this process for long. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const program = redisProgram();
  if (!program) throw new Error('neither redis-server nor valkey-server is on the PATH');
  const port = options.port ?? (await freePort());
  const temporary = options.dataDir ? null : await mkdtemp(join(privateTemporaryFolder(), 'redis-'));
  const dataDir = options.dataDir ?? (temporary as string);
  await mkdir(dataDir, { recursive: true });
  const settings = { bind: '127.0.0.1', port: String(port), dir: dataDir, ...SETTINGS, ...options.settings };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);

  let server: ServerProcess | null = null;
  const start = async (): Promise<void> => {
    if (server?.running()) return;
    server = startServerProcess(program, args, {
      spawn: {},
      ...(temporary ? { removeFolder: temporary } : {}),
      ...(options.logFile ? { logFile: options.logFile } : {}),
    });
    await server.untilReady(() => answersPing(port), START_DEADLINE_MS);
  };
  const stop = async (): Promise<void> => {
    await server?.stop('SIGTERM');
  };
  await start();
  return {
    port,
    dataDir,
    get pid() {
      if (!server?.running()) throw new Error(`Redis on port ${port} is not running`);
      return server.pid;
    },
    url: `redis://127.0.0.1:${port}`,
    stop,
    kill: async () => server?.kill(),
    pause: () => server?.pause(),
    resume: () => server?.resume(),
    start,
    remove: async () => {
      await server?.kill();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** `+PONG`; while it loads its file the answer is `-LOADING`. */
async function answersPing(port: number): Promise<boolean> {
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.setTimeout(1_000, () => socket.destroy());
    socket.once('data', (data) => {
      resolve(data.toString());
      socket.destroy();
    });
    socket.once('error', () => {});
    socket.once('close', () => resolve(''));
  });
  if (answer.startsWith('+PONG')) return true;
  await delay(20);
  return false;
}
