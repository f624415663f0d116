import { createSocket, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import type { CapturedMessage, Endpoint, Mirror } from './transport/mirror.ts';

export interface HepOptions {
  /** The capture server, such as HOMER's heplify-server. */
  readonly server: Endpoint;
  /** Tells this process from other capture agents. */
  readonly agentId: number;
  /** The capture server's key; absent: none is sent. */
  readonly password: string | null;
  /** Microseconds of Unix time. */
  readonly clock: () => number;
  readonly onError: (error: Error) => void;
}

const IPV4 = 2;
const IPV6 = 10;
const UDP = 17;
const TCP = 6;
const SIP = 1;

/** A HEP version 3 packet (EEP): `HEP3`, its length, then chunks of vendor 0: type, length with these six bytes, value. */
export function hepPacket(
  { atMicros, from, text, to, transport }: CapturedMessage,
  { agentId, password }: Pick<HepOptions, 'agentId' | 'password'>,
): Buffer {
  const isV6 = from.address.includes(':') || to.address.includes(':');
  const chunks = [
    chunk(1, byte(isV6 ? IPV6 : IPV4)),
    chunk(2, byte(transport === 'udp' ? UDP : TCP)),
    chunk(isV6 ? 5 : 3, addressBytes(from.address, isV6)),
    chunk(isV6 ? 6 : 4, addressBytes(to.address, isV6)),
    chunk(7, word(from.port)),
    chunk(8, word(to.port)),
    chunk(9, long(Math.floor(atMicros / 1_000_000))),
    chunk(10, long(atMicros % 1_000_000)),
    chunk(11, byte(SIP)),
    chunk(12, long(agentId)),
    ...(password === null ? [] : [chunk(14, Buffer.from(password))]),
    chunk(15, Buffer.from(withoutCredentials(text), 'latin1')),
  ];
  const length = chunks.reduce((sum, { byteLength }) => sum + byteLength, 6);
  return Buffer.concat([Buffer.from('HEP3'), word(length), ...chunks], length);
}

/** A digest response is as good as a password to whoever has time to guess. */
const withoutCredentials = (text: string): string =>
  text.replace(
    /^((?:Proxy-)?Authorization:.*?\bresponse=")([^"]*)/gim,
    (_, head: string, response: string) => `${head}${'0'.repeat(response.length)}`,
  );

function chunk(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(value.byteLength + 6, 4);
  return Buffer.concat([head, value]);
}

const byte = (value: number): Buffer => Buffer.from([value]);

function word(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function long(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A name, or a family that does not fit, is the unspecified address. */
function addressBytes(address: string, isV6: boolean): Buffer {
  const bare = address.replace(/^\[|\]$/g, '');
  if (!isV6) return isIP(bare) === 4 ? Buffer.from(bare.split('.').map(Number)) : Buffer.alloc(4);
  const family = isIP(bare);
  if (family === 0) return Buffer.alloc(16);
  return v6Bytes(family === 4 ? `::ffff:${bare}` : bare);
}

function v6Bytes(address: string): Buffer {
  const dotted = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [a * 256 + Number(b), c * 256 + Number(d)].map((part) => part.toString(16)).join(':'),
  );
  const [left = '', right] = dotted.replace(/%.*$/, '').split('::');
  const before = left === '' ? [] : left.split(':');
  const after = right === undefined || right === '' ? [] : right.split(':');
  const groups = [...before, ...Array(8 - before.length - after.length).fill('0'), ...after];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of groups.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  return bytes;
}

/** A message longer than a datagram holds is not shown. */
const LARGEST = 65_000;

/** Sends a copy of every message to a capture server over UDP, and waits for nothing. */
export class HepMirror implements Mirror {
  readonly #options: HepOptions;
  readonly #socket: Socket;
  #lost = 0;

  constructor(options: HepOptions) {
    this.#options = options;
    this.#socket = createSocket(isIP(options.server.address) === 6 ? 'udp6' : 'udp4').unref();
    this.#socket.on('error', options.onError);
  }

  /** Messages that the network did not take. */
  get lost(): number {
    return this.#lost;
  }

  saw(message: Omit<CapturedMessage, 'atMicros'>): void {
    if (message.text.length > LARGEST) {
      this.#lost++;
      return;
    }
    const { clock, server } = this.#options;
    const packet = hepPacket({ ...message, atMicros: clock() }, this.#options);
    this.#socket.send(packet, server.port, server.address, (error) => {
      if (error) this.#lost++;
    });
  }

  stop(): void {
    this.#socket.close();
  }
}
