import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../shared/runtime/package-root.ts';
import { startServerProcess } from '../../shared/servers/server-process.ts';
import { SipPhone } from './sip-phone.ts';
import { waitFor } from './wait-for.ts';

/** What stands in a documented file, and what stands for it in a test. Each must occur somewhere. */
export type Places = Readonly<Record<string, string>>;

/** The text of a file of the documents, with the test's addresses instead of the example's. */
export async function documentedFile(path: string, places: Places): Promise<string> {
  let text = await readFile(join(packageRoot(), path), 'utf8');
  for (const [example, here] of Object.entries(places)) text = text.replaceAll(example, here);
  return text;
}

export interface KamailioServer {
  readonly uri: string;
  /** What it has logged. */
  log(): Promise<string>;
  stop(): Promise<void>;
}

/** Runs the Kamailio of a folder of the documents, its files in `files`; `/etc/kamailio` is a temporary folder. */
export async function startKamailio(
  folder: string,
  files: readonly string[],
  places: Places,
  port: number,
): Promise<KamailioServer> {
  const etc = await mkdtemp(join(tmpdir(), 'lastcall-kamailio-'));
  for (const file of files)
    await writeFile(
      join(etc, file),
      await documentedFile(join(folder, file), { ...places, '/etc/kamailio': etc }),
    );
  const logFile = join(etc, 'kamailio.log');
  const server = startServerProcess({
    file: 'kamailio',
    args: ['-DD', '-E', '-f', join(etc, 'kamailio.cfg'), '-m', '64', '-M', '8', '-Y', etc],
    spawn: { cwd: etc },
    stopSignal: 'SIGTERM',
    logFile,
    ready: async () => true,
    removeFolder: etc,
  });
  const log = (): Promise<string> => readFile(logFile, 'utf8');
  const uri = `sip:127.0.0.1:${port}`;
  const caller = await SipPhone.start({ server: uri, username: 'nobody', password: '', anonymous: true });
  try {
    await waitFor(
      async () => {
        if (!server.running()) throw new Error(`kamailio ended: ${await log()}`);
        return (await caller.request('OPTIONS', uri).final()).status < 500;
      },
      { what: 'kamailio to answer', deadlineMs: 60_000 },
    );
  } catch (error) {
    await server.kill();
    throw new Error(`kamailio: ${(await log()).slice(-3_000)}`, { cause: error });
  } finally {
    await caller.stop();
  }
  return {
    uri,
    log,
    stop: async () => {
      await server.stop();
      await rm(etc, { recursive: true, force: true });
    },
  };
}
