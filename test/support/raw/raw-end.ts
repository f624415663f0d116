import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import { waitFor } from '../wait-for.ts';
import { headerOf, statusOf } from './message-text.ts';

export type RawTransport = 'udp' | 'tcp' | 'tls' | 'ws';

/** Where a server listens for SIP. */
export interface RawAddress {
  readonly host: string;
  readonly port: number;
}

/** Kept of what came in: the newest. */
const MOST_HEARD = 10_000;

/** A SIP message as it came in, and from where. */
export interface Heard {
  readonly text: string;
  readonly source: string;
}

interface EndParts {
  readonly transport: RawTransport;
  readonly host: string;
  readonly port: number;
  /** To its server unless `to` says where else, over UDP. */
  readonly write: (bytes: Buffer, to?: string) => void;
  readonly end: () => void;
}

/** One end of the wire towards one server: sends any bytes, keeps every message that comes back. Knows no transactions. */
export class RawEnd {
  readonly transport: RawTransport;
  readonly host: string;
  readonly port: number;
  readonly heard: Heard[] = [];
  onMessage: (text: string, source: string) => void = () => {};
  /** Sees every text before it is sent. */
  onSend: (text: string) => void = () => {};
  closed = false;
  /** By Call-ID. */
  readonly #answers = new Map<string, string[]>();
  readonly #write: EndParts['write'];
  readonly #end: () => void;

  private constructor(parts: EndParts) {
    this.transport = parts.transport;
    this.host = parts.host;
    this.port = parts.port;
    this.#write = parts.write;
    this.#end = parts.end;
  }

  /** `bindTo` is the address that it sends from; over a connection the port is the system's choice. */
  static async open(
    transport: RawTransport,
    server: RawAddress,
    bindTo: { readonly host: string; readonly port?: number } = { host: '127.0.0.1' },
  ): Promise<RawEnd> {
    switch (transport) {
      case 'udp':
        return openUdp(server, bindTo, (parts) => new RawEnd(parts));
      case 'tcp':
      case 'tls':
        return openStream(transport, server, bindTo.host, (parts) => new RawEnd(parts));
      case 'ws':
        return openWebSocket(server, bindTo.host, (parts) => new RawEnd(parts));
    }
  }

  /** The value of a Via for what this end sends. */
  via(branch: string): string {
    return `SIP/2.0/${this.transport.toUpperCase()} ${this.host}:${this.port};branch=${branch};rport`;
  }

  /** A SIP URI that names this end. */
  uri(user: string): string {
    const transport = this.transport === 'udp' ? '' : `;transport=${this.transport}`;
    return `sip:${user}@${this.host}:${this.port}${transport}`;
  }

  /** A response goes over UDP to the source of its request (RFC 3581 4): another process of the site may have sent it. */
  send(message: string | Buffer, to?: string): void {
    if (this.closed) return;
    if (typeof message === 'string') this.onSend(message);
    this.#write(typeof message === 'string' ? Buffer.from(message, 'latin1') : message, to);
  }

  /** The responses to one request, by Call-ID and CSeq. */
  answersTo(callId: string, cseq?: number): string[] {
    const answers = this.#answers.get(callId) ?? [];
    return answers.filter(
      (text) => cseq === undefined || Number.parseInt(headerOf(text, 'CSeq') ?? '', 10) === cseq,
    );
  }

  /** The final response to one request. */
  final(callId: string, cseq?: number, deadlineMs = 5_000): Promise<string> {
    return waitFor(() => this.answersTo(callId, cseq).find((text) => statusOf(text) >= 200), {
      what: `a final response to ${callId} over ${this.transport}`,
      deadlineMs,
      everyMs: 4,
    });
  }

  close(): void {
    this.closed = true;
    this.#end();
  }

  /** For the transports below. */
  receive(text: string, source: string): void {
    if (text.trim() === '') return;
    this.heard.push({ text, source });
    if (this.heard.length > MOST_HEARD) this.heard.splice(0, MOST_HEARD / 2);
    if (statusOf(text) > 0) this.#keepAnswer(headerOf(text, 'Call-ID') ?? '', text);
    this.onMessage(text, source);
  }

  #keepAnswer(callId: string, text: string): void {
    const known = this.#answers.get(callId);
    if (known === undefined) this.#answers.set(callId, [text]);
    else known.push(text);
    const oldest = this.#answers.keys().next().value;
    if (this.#answers.size > MOST_HEARD && oldest !== undefined) this.#answers.delete(oldest);
  }
}

type Make = (parts: EndParts) => RawEnd;

async function openUdp(
  server: RawAddress,
  { host, port = 0 }: { readonly host: string; readonly port?: number },
  make: Make,
): Promise<RawEnd> {
  const socket: UdpSocket = createSocket('udp4');
  socket.on('error', () => {});
  socket.bind(port, host);
  await once(socket, 'listening');
  let open = true;
  const end = make({
    transport: 'udp',
    host,
    port: socket.address().port,
    write: (bytes, to = `${server.host}:${server.port}`) => {
      const [address = '', port] = to.split(':');
      if (open) socket.send(bytes, Number(port), address, () => {});
    },
    end: () => {
      if (open) socket.close();
      open = false;
    },
  });
  socket.on('message', (bytes, from) =>
    end.receive(bytes.toString('latin1'), `${from.address}:${from.port}`),
  );
  return end;
}

async function openStream(
  transport: 'tcp' | 'tls',
  server: RawAddress,
  localAddress: string,
  make: Make,
): Promise<RawEnd> {
  const socket: Socket =
    transport === 'tcp'
      ? connect({ ...server, localAddress })
      : connectTls({ socket: connect({ ...server, localAddress }), rejectUnauthorized: false });
  await once(socket, transport === 'tcp' ? 'connect' : 'secureConnect');
  const end = make({
    transport,
    host: localAddress,
    port: socket.localPort ?? 0,
    write: (bytes) => void socket.write(bytes),
    end: () => void socket.destroy(),
  });
  let unread = '';
  socket
    .on('error', () => {})
    .on('close', () => {
      end.closed = true;
    })
    .on('data', (bytes: Buffer) => {
      unread += bytes.toString('latin1');
      for (;;) {
        const size = messageSize(unread);
        if (size === 0) return;
        end.receive(unread.slice(0, size), `${server.host}:${server.port}`);
        unread = unread.slice(size);
      }
    });
  return end;
}

/** How many characters the first whole message of a stream has; 0 before it is whole (RFC 3261 18.3). */
function messageSize(stream: string): number {
  const head = stream.indexOf('\r\n\r\n');
  if (head < 0) return 0;
  if (head === 0) return 4;
  const length = Number(headerOf(stream.slice(0, head + 4), 'Content-Length') ?? 0);
  return stream.length >= head + 4 + length ? head + 4 + length : 0;
}

async function openWebSocket(server: RawAddress, localAddress: string, make: Make): Promise<RawEnd> {
  const socket = new WebSocket(`ws://${server.host}:${server.port}`, 'sip', { localAddress });
  const opened = once(socket, 'open');
  socket.on('error', () => {});
  await opened;
  const end = make({
    transport: 'ws',
    host: `${Math.random().toString(36).slice(2)}.invalid`,
    port: 5060,
    write: (bytes) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes);
    },
    end: () => socket.terminate(),
  });
  socket
    .on('close', () => {
      end.closed = true;
    })
    .on('message', (bytes: Buffer) => end.receive(bytes.toString('latin1'), `${server.host}:${server.port}`));
  return end;
}
