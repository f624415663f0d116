import { timingSafeEqual } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { guarded } from '../guarded.ts';
import { type SipMessage, SipRequest } from '../message/message.ts';
import { parseNameAddr } from '../syntax/name-addr.ts';
import { MAGIC_COOKIE } from '../syntax/via.ts';

/** Which of several processes with the same listeners this is. */
export interface Seat {
  /** From 0. */
  readonly index: number;
  /** At most {@link MOST_PROCESSES}. */
  readonly count: number;
  /** Known to these processes alone: proves that a datagram was handed on by one of them. */
  readonly key: string;
}

/** A process is one base-36 digit. */
export const MOST_PROCESSES = 36;

/** Takes what another process received for this one. */
export type Deliver = (text: string, address: string, port: number) => void;

const LOOPBACK = '127.0.0.1';
/** With the line before it a datagram must still fit into one. */
const LONGEST = 65_000;

/**
 * Several processes read one UDP port, and the kernel gives a datagram to any of them. Each is handed on over loopback to
 * the one whose it is: a response to the process whose branch it answers, a request in a dialog to the process that minted its ticket,
 * any other by its Call-ID, so that its retransmissions, its ACK and its CANCEL come there too. While that process is away
 * the next one stands in.
 */
export class Steering {
  readonly index: number;
  /** Stands in every branch of this process. */
  readonly mark: string;
  readonly #count: number;
  readonly #key: string;
  #socket: Socket | undefined;
  #ports: readonly (number | null)[] = [];

  constructor({ count, index, key }: Seat) {
    this.index = index;
    this.mark = index.toString(MOST_PROCESSES);
    this.#count = count;
    this.#key = key;
  }

  /** Begins to take what others hand on; resolves with the port that they need for it. */
  start(deliver: Deliver, onFault: (error: unknown) => void): Promise<number> {
    const socket = createSocket('udp4');
    this.#socket = socket;
    socket.on(
      'message',
      guarded(onFault, (bytes: Buffer) => this.#take(bytes.toString('latin1'), deliver)),
    );
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: LOOPBACK, port: 0, exclusive: true }, () => {
        socket.off('error', reject).on('error', onFault);
        resolve(socket.address().port);
      });
    });
  }

  stop(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  /** Where the processes take what is theirs, by index; null for one that is away. */
  setPorts(ports: readonly (number | null)[]): void {
    this.#ports = ports;
  }

  /** Hands on what another process is to handle; false for what is this one's. */
  pass(message: SipMessage, address: string, port: number): boolean {
    const owner = this.#present(this.#ownerOf(message));
    const to = this.#ports[owner];
    if (owner === this.index || !to || message.text.length > LONGEST) return false;
    // A process that died a moment ago loses it, as the network may: its sender repeats it.
    this.#socket?.send(
      Buffer.from(`${this.#key} ${address} ${port}\n${message.text}`, 'latin1'),
      to,
      LOOPBACK,
      () => {},
    );
    return true;
  }

  #ownerOf(message: SipMessage): number {
    const named = message instanceof SipRequest ? mintedBy(message) : processOf(message.topVia?.branch ?? '');
    return named !== undefined && named < this.#count ? named : hashOf(message.callId ?? '') % this.#count;
  }

  /** The process itself, or the next one that is there. */
  #present(owner: number): number {
    for (let step = 0; step < this.#count; step++) {
      const candidate = (owner + step) % this.#count;
      if (candidate === this.index || this.#ports[candidate]) return candidate;
    }
    return this.index;
  }

  #take(text: string, deliver: Deliver): void {
    const end = text.indexOf('\n');
    const [key = '', address = '', port = ''] = text.slice(0, Math.max(0, end)).split(' ');
    const given = Buffer.from(key);
    const expected = Buffer.from(this.#key);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return;
    deliver(text.slice(end + 1), address, Number(port));
  }
}

/** The digit after the magic cookie of a branch of ours. */
function processOf(branch: string): number | undefined {
  if (!branch.startsWith(MAGIC_COOKIE)) return undefined;
  const index = Number.parseInt(branch.charAt(MAGIC_COOKIE.length), MOST_PROCESSES);
  return Number.isNaN(index) ? undefined : index;
}

/** The first byte of the dialog's ticket in the topmost Route. Unverified: it decides who judges it, nothing else. */
function mintedBy(request: SipRequest): number | undefined {
  const route = request.indexOf('route') < 0 ? undefined : request.values('route')[0];
  const uri = route === undefined ? undefined : parseNameAddr(route)?.uri;
  if (uri?.kind !== 'sip' || uri.user === undefined || uri.user.length < SHORTEST_TICKET) return undefined;
  return Buffer.from(uri.user.slice(0, 4), 'base64url')[0];
}

const SHORTEST_TICKET = 40;

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
