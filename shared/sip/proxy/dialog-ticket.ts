import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { acceptedKeys, type SigningKeySource } from '../../domain/site-secret.ts';
import type { Flow } from '../transport/flow.ts';
import type { TransportName } from '../transport/listener.ts';

export type DialogSide = 'caller' | 'callee';
export const otherSide = (side: DialogSide): DialogSide => (side === 'caller' ? 'callee' : 'caller');

/** One party's end of a dialog, as text cannot forge it. */
export interface DialogEnd {
  readonly transport: TransportName;
  /** Of the listener. */
  readonly localPort: number;
  /** The connection; null for UDP. */
  readonly token: string | null;
  readonly address: string;
  readonly port: number;
  /** This server found the address itself, so within the dialog it may connect there again. */
  readonly reopens: boolean;
  /** {@link partyMark} of who proved to be this party; zeros for nobody. */
  readonly party: string;
}

export interface DialogTicket {
  /** As it stands in the Route. */
  readonly text: string;
  /** Of the process that wrote it. */
  readonly instance: string;
  readonly mintedAtSeconds: number;
  readonly caller: DialogEnd;
  readonly callee: DialogEnd;
}

const MAC_BYTES = 12;
const INSTANCE_BYTES = 4;
const PARTY_BYTES = 6;
const TRANSPORTS: readonly TransportName[] = ['udp', 'tcp', 'tls', 'ws', 'wss'];
const REOPENS = 0x10;
const LONGEST = 400;

export const NOBODY = '0'.repeat(PARTY_BYTES * 2);

/** A short mark of a party's name, the same in every process. */
export const partyMark = (name: string | undefined): string =>
  name === undefined
    ? NOBODY
    : createHash('sha256')
        .update(name)
        .digest('hex')
        .slice(0, PARTY_BYTES * 2);

export function endOf(flow: Flow, reopens: boolean, party: string | undefined): DialogEnd {
  return {
    transport: flow.transport,
    localPort: flow.listener.port,
    token: flow.reliable ? flow.token : null,
    address: flow.remoteAddress,
    port: flow.remotePort,
    reopens,
    party: partyMark(party),
  };
}

/**
 * The user part of this server's Record-Route: a ticket for one dialog (G3). It holds the flows of both parties and its age,
 * and is signed together with Call-ID and the caller's tag, so it serves no other call.
 */
export class TicketOffice {
  readonly #keys: SigningKeySource;
  readonly #instance: Buffer;

  /** `instance`: 8 hexadecimal digits, of this process alone. */
  constructor(keys: SigningKeySource, instance: string) {
    this.#keys = keys;
    this.#instance = Buffer.from(instance, 'hex');
  }

  mint(
    callId: string,
    callerTag: string,
    caller: DialogEnd,
    callee: DialogEnd,
    mintedAtSeconds: number,
  ): DialogTicket {
    const minted = Buffer.alloc(4);
    minted.writeUInt32BE(mintedAtSeconds);
    const payload = Buffer.concat([this.#instance, minted, packed(caller), packed(callee)]);
    const mac = macOf(payload, callId, callerTag, this.#keys().current);
    const text = Buffer.concat([payload, mac]).toString('base64url');
    return { text, instance: this.#instance.toString('hex'), mintedAtSeconds, caller, callee };
  }

  /** Undefined for what was not signed here for that Call-ID and caller's tag. */
  read(text: string, callId: string, callerTag: string): DialogTicket | undefined {
    if (text.length > LONGEST) return undefined;
    const bytes = Buffer.from(text, 'base64url');
    if (bytes.length < INSTANCE_BYTES + 4 + MAC_BYTES || bytes.toString('base64url') !== text)
      return undefined;
    const payload = bytes.subarray(0, -MAC_BYTES);
    const given = bytes.subarray(-MAC_BYTES);
    const genuine = acceptedKeys(this.#keys()).some((key) =>
      timingSafeEqual(given, macOf(payload, callId, callerTag, key)),
    );
    return genuine ? unpackedTicket(text, payload) : undefined;
  }
}

function macOf(payload: Buffer, callId: string, callerTag: string, key: Uint8Array): Buffer {
  return createHmac('sha256', key)
    .update(payload)
    .update(`|${callerTag}|${callId}`, 'latin1')
    .digest()
    .subarray(0, MAC_BYTES);
}

/** Transport and flag, ports, party, then address and token with their lengths. */
function packed(end: DialogEnd): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(TRANSPORTS.indexOf(end.transport) | (end.reopens ? REOPENS : 0), 0);
  head.writeUInt16BE(end.localPort, 1);
  head.writeUInt16BE(end.port, 3);
  const address = packedAddress(end.address);
  const token = Buffer.from(end.token ?? '', 'latin1');
  return Buffer.concat([
    head,
    Buffer.from(end.party, 'hex'),
    Buffer.of(address.length),
    address,
    Buffer.of(token.length),
    token,
  ]);
}

function unpackedTicket(text: string, payload: Buffer): DialogTicket {
  const caller = unpacked(payload, INSTANCE_BYTES + 4);
  const callee = unpacked(payload, caller.next);
  return {
    text,
    instance: payload.toString('hex', 0, INSTANCE_BYTES),
    mintedAtSeconds: payload.readUInt32BE(INSTANCE_BYTES),
    caller: caller.end,
    callee: callee.end,
  };
}

/** Only for signed bytes: they have this form. */
function unpacked(bytes: Buffer, at: number): { readonly end: DialogEnd; readonly next: number } {
  const kind = bytes.readUInt8(at);
  const partyAt = at + 5;
  const addressAt = partyAt + PARTY_BYTES + 1;
  const tokenAt = addressAt + bytes.readUInt8(addressAt - 1) + 1;
  const next = tokenAt + bytes.readUInt8(tokenAt - 1);
  const token = bytes.toString('latin1', tokenAt, next);
  return {
    end: {
      transport: TRANSPORTS[kind & ~REOPENS] ?? 'udp',
      localPort: bytes.readUInt16BE(at + 1),
      token: token === '' ? null : token,
      address: unpackedAddress(bytes.subarray(addressAt, tokenAt - 1)),
      port: bytes.readUInt16BE(at + 3),
      reopens: (kind & REOPENS) !== 0,
      party: bytes.toString('hex', partyAt, partyAt + PARTY_BYTES),
    },
    next,
  };
}

/** IPv4 in four bytes, IPv6 as text after a bracket, so that no length means both. */
function packedAddress(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  return Buffer.from(`[${address}]`, 'latin1');
}

const unpackedAddress = (bytes: Buffer): string =>
  bytes.length === 4 ? bytes.join('.') : bytes.toString('latin1', 1, bytes.length - 1);
