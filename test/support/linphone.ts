import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../shared/servers/free-port.ts';
import { waitFor } from './wait-for.ts';

export interface LinphoneOptions {
  readonly username: string;
  readonly password: string;
  readonly realm: string;
  /** `localhost:5061`: TLS needs a name. */
  readonly server: string;
  /** PEM file of who signed the server's certificate. */
  readonly rootCertificate: string;
}

/** The folder that linphone-daemon puts its socket into, whatever TMPDIR says. */
const SOCKETS = '/tmp';

/** A linphone-daemon without sound card over TLS, driven over its Unix socket. */
export class Linphone {
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #pipe: string;

  private constructor(folder: string, pipe: string) {
    this.#folder = folder;
    this.#pipe = pipe;
    const args = ['--config', join(folder, 'linphonerc'), '--pipe', pipe, '--log', join(folder, 'log')];
    this.#process = spawn('linphone-daemon', [...args, '--disable-stats-events'], {
      stdio: 'ignore',
      env: { ...process.env, HOME: folder },
    });
    this.#process.on('error', () => {});
  }

  /** Resolves when it is registered. */
  static async registered(options: LinphoneOptions): Promise<Linphone> {
    const folder = await mkdtemp(join(tmpdir(), 'lastcall-linphone-'));
    await mkdir(join(folder, '.local/share/linphone'), { recursive: true });
    await writeFile(join(folder, 'linphonerc'), await configuration(options));
    const phone = new Linphone(folder, `lastcall-${Math.random().toString(36).slice(2)}`);
    try {
      await waitFor(
        async () => /State: LinphoneRegistrationOk/.test(await phone.command('register-status ALL')),
        {
          what: 'the registration of linphone (apt-get install linphone-cli)',
          deadlineMs: 60_000,
          everyMs: 200,
        },
      );
      return phone;
    } catch (cause) {
      await phone.stop();
      throw cause;
    }
  }

  /** Its answer to one line. */
  command(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(join(SOCKETS, this.#pipe));
      let answer = '';
      socket.setTimeout(3_000, () => socket.destroy());
      socket.on('connect', () => socket.write(`${line}\n`));
      socket.on('data', (bytes) => {
        answer += bytes.toString('latin1');
        socket.end();
      });
      socket.on('close', () => resolve(answer));
      socket.on('error', reject);
    });
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('close', resolve));
    if (this.#process.exitCode === null && this.#process.pid !== undefined) {
      this.#process.kill('SIGKILL');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function configuration({
  password,
  realm,
  rootCertificate,
  server,
  username,
}: LinphoneOptions): Promise<string> {
  return `[sip]
sip_port=${await freePort()}
sip_tcp_port=${await freePort()}
sip_tls_port=${await freePort()}
bind_address=127.0.0.1
use_ipv6=0
default_proxy=0
root_ca=${rootCertificate}
[sound]
use_files=1
[rtp]
audio_rtp_port=${await freePort()}
[proxy_0]
reg_proxy=<sip:${server};transport=tls>
reg_route=<sip:${server};transport=tls;lr>
reg_identity=sip:${username}@${realm}
reg_expires=120
reg_sendregister=1
publish=0
[auth_info_0]
username=${username}
passwd=${password}
realm=${realm}
domain=${realm}
`;
}
