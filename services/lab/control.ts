import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { privateTemporaryFolder } from '../../shared/servers/temporary-folder.ts';
import { Obstacle } from './obstacle.ts';
import type { PartName } from './options.ts';

/** What `--halt` and `--revive` ask of a running lab. */
export type ControlRequest = PartName & { readonly do: 'halt' | 'revive' };
type ControlAnswer = { readonly error: string | null };

/**
 * A socket's path may hold 107 bytes, so it stands in the short temporary folder, which only this user can write to; one for
 * each data folder, so that a killed lab's is taken over by the next.
 */
function socketOf(dataDir: string): string {
  const mark = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
  return join(privateTemporaryFolder(), `lab-${mark}.sock`);
}

/** Listens for requests to the lab of this data folder, one JSON line each, answered when done. */
export function serveControl(
  dataDir: string,
  perform: (request: ControlRequest) => Promise<void>,
): { close(): void } {
  const path = socketOf(dataDir);
  rmSync(path, { force: true });
  const server: Server = createServer(async (socket) => {
    socket.on('error', () => {});
    for await (const line of createInterface({ input: socket })) {
      const error = await perform(JSON.parse(line)).then(
        () => null,
        (cause: Error) => cause.message,
      );
      socket.write(`${JSON.stringify({ error } satisfies ControlAnswer)}\n`);
    }
  }).listen(path);
  return {
    close() {
      server.close();
      rmSync(path, { force: true });
    },
  };
}

/** Asks the lab that runs from this data folder and resolves when it is done; throws what the lab says is wrong. */
export async function askLab(dataDir: string, request: ControlRequest): Promise<void> {
  const socket = connect(socketOf(dataDir));
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const line of createInterface({ input: socket })) {
      const { error } = JSON.parse(line) as ControlAnswer;
      if (error === null) return;
      throw new Obstacle(error);
    }
    throw new Obstacle('the lab ended before it answered');
  } finally {
    socket.destroy();
  }
}
