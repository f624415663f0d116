import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../shared/servers/free-port.ts';
import { waitFor } from './wait-for.ts';

export interface BaresipOptions {
  readonly username: string;
  readonly password: string;
  readonly domain: string;
  /** `sip:127.0.0.1:5060;transport=udp`, which baresip uses as its outbound proxy. */
  readonly outbound: string;
  readonly answers: 'auto' | 'manual';
}

/** An event as baresip reports it: `REGISTER_OK`, `CALL_INCOMING`, `CALL_CLOSED` ... */
export interface BaresipEvent {
  readonly type: string;
  readonly param?: string;
  readonly peeruri?: string;
}

const MODULES = '/usr/lib/baresip/modules';
const STOP_DEADLINE_MS = 3_000;

/** A baresip without sound card, driven over its TCP control interface. */
export class Baresip {
  readonly events: BaresipEvent[] = [];
  readonly #folder: string;
  readonly #process: ChildProcess;
  #control: Socket | undefined;
  #unread = '';
  #output = '';

  private constructor(folder: string) {
    this.#folder = folder;
    this.#process = spawn('baresip', ['-4', '-f', folder, '-s'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (text: Buffer) => {
      this.#output = (this.#output + text.toString('latin1')).slice(-20_000);
    };
    this.#process.stdout?.on('data', keep);
    this.#process.stderr?.on('data', keep);
  }

  /** Resolves when it is registered. */
  static async registered(options: BaresipOptions): Promise<Baresip> {
    const folder = await mkdtemp(join(tmpdir(), 'lastcall-baresip-'));
    const controlPort = await freePort();
    // TLS would listen on the next port, so ports are taken two apart.
    await writeFile(join(folder, 'config'), config(await freePort(), controlPort));
    await writeFile(join(folder, 'contacts'), '');
    await writeFile(join(folder, 'accounts'), account(options));
    const phone = new Baresip(folder);
    try {
      await phone.#open(controlPort);
      // Its REGISTER_OK may have come before the control connection, so its screen is read instead.
      await waitFor(() => /\} 200 OK \(/.test(phone.#output), { what: `${options.username}'s registration` });
      return phone;
    } catch (cause) {
      await phone.stop();
      throw cause;
    }
  }

  /** Waits for the event number `number` (0 is the first) of that type. */
  event(type: string, number = 0): Promise<BaresipEvent> {
    return waitFor(
      () => {
        const found = this.events.filter((event) => event.type === type)[number];
        if (found === undefined)
          throw new Error(
            `events: ${this.events.map((event) => event.type).join(', ')}\n${this.#output.slice(-3_000)}`,
          );
        return found;
      },
      { what: `${type} of baresip` },
    );
  }

  dial(uri: string): void {
    this.#command('dial', uri);
  }

  hangUp(): void {
    this.#command('hangup');
  }

  accept(): void {
    this.#command('accept');
  }

  /** SIGTERM, so that it unregisters. */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('close', resolve));
    this.#control?.destroy();
    if (this.#process.exitCode === null) {
      this.#process.kill('SIGTERM');
      const deadline = setTimeout(() => this.#process.kill('SIGKILL'), STOP_DEADLINE_MS);
      await ended;
      clearTimeout(deadline);
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #open(port: number): Promise<void> {
    this.#control = await waitFor(
      () =>
        new Promise<Socket>((resolve, reject) => {
          const socket = connect({ host: '127.0.0.1', port });
          socket.once('connect', () => resolve(socket));
          socket.once('error', reject);
        }),
      { what: `the control port of baresip (apt-get install baresip-core)` },
    );
    this.#control.on('error', () => {});
    this.#control.on('data', (bytes) => this.#onData(bytes.toString('latin1')));
  }

  /** Netstrings: `<length>:<json>,`. */
  #command(command: string, params = ''): void {
    const json = JSON.stringify({ command, params, token: command });
    this.#control?.write(`${json.length}:${json},`);
  }

  #onData(text: string): void {
    this.#unread += text;
    for (;;) {
      const colon = this.#unread.indexOf(':');
      const length = Number(this.#unread.slice(0, colon));
      if (colon < 0 || this.#unread.length < colon + length + 2) return;
      const message = JSON.parse(this.#unread.slice(colon + 1, colon + 1 + length)) as BaresipEvent & {
        event?: boolean;
      };
      this.#unread = this.#unread.slice(colon + length + 2);
      if (message.event === true) this.events.push(message);
    }
  }
}

function config(sipPort: number, controlPort: number): string {
  return `poll_method epoll
sip_listen 127.0.0.1:${sipPort}
net_interface 127.0.0.1
audio_player aubridge,player${sipPort}
audio_source aubridge,source${sipPort}
audio_alert aubridge,alert${sipPort}
ausrc_srate 8000
auplay_srate 8000
module_path ${MODULES}
module g711.so
module aubridge.so
module_app account.so
module_app contact.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:${controlPort}
`;
}

function account({ answers, domain, outbound, password, username }: BaresipOptions): string {
  const parameters = [
    `auth_user=${username}`,
    `auth_pass=${password}`,
    `outbound="${outbound}"`,
    `answermode=${answers}`,
  ];
  return `<sip:${username}@${domain}>;${parameters.join(';')};regint=60\n`;
}
