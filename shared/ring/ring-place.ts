import { randomBytes } from 'node:crypto';
import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { basename, join } from 'node:path';
import { LastcallError } from '../domain/errors.ts';

/** What a socket's path may be long, on Linux. */
const SOCKET_PATH_BYTES = 107;

/**
 * A process's place in the directory where the processes of a site keep their rings: `SITE.SERVICE-RANDOM`. The place is
 * held by a listening socket beside the file, which the kernel lets go when the process dies, however it dies, and keeps
 * while it is only stopped. It holds between containers that share the directory, not between machines.
 */
export class RingPlace {
  readonly path: string;
  readonly #directory: string;
  readonly #directoryFd: number;
  readonly #name: string;
  readonly #lock: Server;

  private constructor(directory: string, directoryFd: number, name: string, lock: Server) {
    this.#directory = directory;
    this.#directoryFd = directoryFd;
    this.#name = name;
    this.#lock = lock;
    this.path = join(directory, `${name}.ring`);
  }

  /** Throws `RING_UNUSABLE` when the directory is not this user's own, or cannot be written. */
  static async claim(directory: string, site: string, service: string): Promise<RingPlace> {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const { uid } = lstatSync(directory);
      if (process.getuid !== undefined && uid !== process.getuid())
        throw new Error('the directory belongs to another user');
      const directoryFd = openSync(directory, 'r');
      const name = `${site}.${service}-${randomBytes(4).toString('hex')}`;
      const lock = createServer((socket) => socket.destroy());
      await new Promise<void>((resolve, reject) => {
        // Exclusive: of several processes (node:cluster) each holds its own, and lets it go when it dies.
        const path = socketPath(directory, directoryFd, name);
        lock.once('error', reject).listen({ path, exclusive: true }, resolve);
      });
      lock.unref();
      return new RingPlace(directory, directoryFd, name, lock);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new LastcallError('RING_UNUSABLE', { cause, details: { directory, reason } });
    }
  }

  /**
   * The rings that dead processes of this site left, under names of this process: of several that reach for one at the
   * same time, one gets it. Each is to be removed when its records are kept elsewhere.
   */
  async takeOver(): Promise<string[]> {
    const [site] = this.#name.split('.');
    const taken: string[] = [];
    for (const file of readdirSync(this.#directory)) {
      if (!file.startsWith(`${site}.`) || !file.endsWith('.ring')) continue;
      const owner = file.split('.').slice(0, 2).join('.');
      if (owner === this.#name) {
        if (file !== basename(this.path)) taken.push(join(this.#directory, file));
      } else if (!(await lives(socketPath(this.#directory, this.#directoryFd, owner)))) {
        const mine = join(this.#directory, `${this.#name}.${randomBytes(4).toString('hex')}.ring`);
        if (renamed(join(this.#directory, file), mine)) taken.push(mine);
        rmSync(join(this.#directory, `${owner}.lock`), { force: true });
      }
    }
    return taken;
  }

  /** Lets the place go: the next process takes over whatever is left. */
  async release(): Promise<void> {
    await new Promise<void>((resolve) => this.#lock.close(() => resolve()));
    rmSync(join(this.#directory, `${this.#name}.lock`), { force: true });
    closeSync(this.#directoryFd);
  }
}

/** In doubt it lives: a file of a living process is never touched. */
function lives(lock: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(lock);
    const decide = (alive: boolean) => {
      socket.destroy();
      resolve(alive);
    };
    socket.once('connect', () => decide(true));
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      decide(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    );
  });
}

/** The ring files of a site's processes on this host, and whether each still has its process. Throws what the disk throws. */
export async function ringFiles(
  directory: string,
  site: string,
): Promise<{ readonly file: string; readonly lives: boolean }[]> {
  const files = readdirSync(directory).filter(
    (file) => file.startsWith(`${site}.`) && file.endsWith('.ring'),
  );
  const directoryFd = openSync(directory, 'r');
  try {
    return await Promise.all(
      files.map(async (file) => {
        const owner = file.split('.').slice(0, 2).join('.');
        return { file, lives: await lives(socketPath(directory, directoryFd, owner)) };
      }),
    );
  } finally {
    closeSync(directoryFd);
  }
}

/** The short way round through /proc where the path itself is too long for a socket. */
function socketPath(directory: string, directoryFd: number, name: string): string {
  const path = join(directory, `${name}.lock`);
  const tooLong = Buffer.byteLength(path) > SOCKET_PATH_BYTES;
  return tooLong && process.platform === 'linux' ? `/proc/self/fd/${directoryFd}/${name}.lock` : path;
}

function renamed(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch {
    // Another process of the site was faster.
    return false;
  }
}
