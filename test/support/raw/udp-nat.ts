import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { RawAddress } from './raw-end.ts';

/** A NAT for UDP: each phone inside gets a port of its own outside, and only the server's answers come back in through it. */
export class UdpNat {
  readonly #inside: Socket;
  readonly #outside = new Map<string, Socket>();
  readonly #server: RawAddress;
  readonly #host: string;

  private constructor(inside: Socket, server: RawAddress, host: string) {
    this.#inside = inside;
    this.#server = server;
    this.#host = host;
    inside.on('message', (bytes, { address, port }) => {
      this.#socketFor({ host: address, port })
        .then((socket) => socket.send(bytes, server.port, server.host))
        .catch(() => {});
    });
  }

  /** What is sent to `inside` goes to the server, from an address of `outsideHost`. */
  static async start(inside: RawAddress, server: RawAddress, outsideHost: string): Promise<UdpNat> {
    const socket = createSocket('udp4');
    socket.bind(inside.port, inside.host);
    await once(socket, 'listening');
    return new UdpNat(socket, server, outsideHost);
  }

  stop(): void {
    for (const socket of [this.#inside, ...this.#outside.values()]) socket.close();
  }

  async #socketFor(phone: RawAddress): Promise<Socket> {
    const key = `${phone.host}:${phone.port}`;
    const known = this.#outside.get(key);
    if (known !== undefined) return known;
    const socket = createSocket('udp4');
    this.#outside.set(key, socket);
    socket.on('message', (bytes, from) => {
      if (from.address === this.#server.host && from.port === this.#server.port)
        this.#inside.send(bytes, phone.port, phone.host);
    });
    socket.bind(0, this.#host);
    await once(socket, 'listening');
    return socket;
  }
}
