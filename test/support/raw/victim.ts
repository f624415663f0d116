import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type Socket as Connection, createServer } from 'node:net';
import { freePort } from '../../../shared/servers/free-port.ts';

/** Someone on the network who takes no part: hears UDP and TCP on one port, and remembers all that came. */
export class Victim {
  readonly host: string;
  readonly port: number;
  readonly datagrams: string[] = [];
  /** One entry a connection: what was written to it. */
  readonly connections: string[] = [];
  /** A datagram's text is given to it, with a way to answer. */
  onDatagram: (text: string, answer: (text: string) => void) => void = () => {};
  readonly #udp: Socket;
  readonly #close: () => void;

  private constructor(host: string, udp: Socket, close: () => void) {
    this.host = host;
    this.port = udp.address().port;
    this.#udp = udp;
    this.#close = close;
  }

  static async start(host: string): Promise<Victim> {
    const udp = createSocket('udp4');
    udp.bind(await freePort(), host);
    await once(udp, 'listening');
    const sockets = new Set<Connection>();
    const tcp = createServer((socket) => {
      const index = victim.connections.push('') - 1;
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        victim.connections[index] += bytes.toString('latin1');
      });
    });
    tcp.listen(udp.address().port, host);
    await once(tcp, 'listening');
    const victim = new Victim(host, udp, () => {
      udp.close();
      tcp.close();
      for (const socket of sockets) socket.destroy();
    });
    udp.on('message', (bytes, from) => {
      const text = bytes.toString('latin1');
      victim.datagrams.push(text);
      victim.onDatagram(text, (answer) => udp.send(Buffer.from(answer, 'latin1'), from.port, from.address));
    });
    return victim;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** All that came in since the last {@link forget}. */
  get heard(): readonly string[] {
    return [...this.datagrams, ...this.connections.map((text) => `TCP ${text}`)];
  }

  /** A datagram from its own address. */
  send(text: string, to: { readonly host: string; readonly port: number }): void {
    this.#udp.send(Buffer.from(text, 'latin1'), to.port, to.host);
  }

  forget(): void {
    this.datagrams.length = 0;
    this.connections.length = 0;
  }

  stop(): void {
    this.#close();
  }
}
