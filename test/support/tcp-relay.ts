import { connect, createServer, type Server, type Socket } from 'node:net';

/** How a link carries each piece of what is sent, milliseconds; a lost one is sent again after `retransmissionMs`. */
export interface Weather {
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly lossShare: number;
  readonly retransmissionMs: number;
}

/** A link that can be cut or slowed: a TCP port in front of another. */
export class TcpRelay {
  #targetPort: number;
  readonly #server: Server;
  readonly #pairs = new Set<[Socket, Socket]>();
  #open = true;
  #silent = false;
  #weather: Weather | null = null;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer((client) => {
      if (!this.#open) {
        client.destroy();
        return;
      }
      const upstream = connect(this.#targetPort, '127.0.0.1');
      const pair: [Socket, Socket] = [client, upstream];
      this.#pairs.add(pair);
      const end = (): void => {
        client.destroy();
        upstream.destroy();
        this.#pairs.delete(pair);
      };
      client.on('error', end).on('close', end);
      upstream.on('error', end).on('close', end);
      this.#carry(client, upstream);
      this.#carry(upstream, client);
    });
    this.#server.on('error', () => undefined);
  }

  static async open(targetPort: number): Promise<TcpRelay> {
    const relay = new TcpRelay(targetPort);
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  /** A URL for the target, led through this relay. */
  url(direct: string): string {
    return direct.replace(/@127\.0\.0\.1:\d+/, `@127.0.0.1:${this.port}`);
  }

  /** New connections lead to another port, as when a virtual address moves; open ones stay where they are. */
  moveTo(targetPort: number): void {
    this.#targetPort = targetPort;
  }

  /** What is sent from now on is carried so, in order: TCP hides the rest. */
  slow(weather: Weather): void {
    this.#weather = weather;
  }

  #carry(from: Socket, to: Socket): void {
    let lastMs = 0;
    from.on('data', (chunk) => {
      if (this.#silent) return;
      if (this.#weather === null && lastMs < performance.now()) {
        to.write(chunk);
        return;
      }
      const arrivesMs = performance.now() + (this.#weather === null ? 0 : delayOf(this.#weather));
      lastMs = Math.max(arrivesMs, lastMs);
      setTimeout(() => to.writable && !this.#silent && to.write(chunk), lastMs - performance.now());
    });
  }

  /** Breaks every connection and refuses new ones. */
  cut(): void {
    this.#open = false;
    for (const [client, upstream] of this.#pairs) {
      client.destroy();
      upstream.destroy();
    }
  }

  /** A half-open link: connections stay, nothing passes any more, in either direction. */
  silence(): void {
    this.#silent = true;
  }

  heal(): void {
    this.#open = true;
    this.#silent = false;
    this.#weather = null;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function delayOf({ delayMs, jitterMs, lossShare, retransmissionMs }: Weather): number {
  let sum = delayMs + jitterMs * (2 * Math.random() - 1);
  while (Math.random() < lossShare) sum += retransmissionMs;
  return sum;
}
