import { connect, createServer, type Server, type Socket } from 'node:net';

/** One PostgreSQL protocol message on its way through a {@link MessageRelay}. */
export interface RelayedMessage {
  readonly from: 'client' | 'server';
  /** The message's letter; empty for the start-up message, which has none. */
  readonly type: string;
  /** What follows the length. */
  readonly body: Buffer;
  /** The text of its connection's latest simple query. */
  readonly query: string;
  /** The same object for every message of one connection. */
  readonly connection: object;
}

/** Sees each message before it goes on: `cut` breaks its connection instead, `cut-after` once it has gone on. */
export type MessageRule = (message: RelayedMessage) => 'pass' | 'cut' | 'cut-after';

/** A port in front of a PostgreSQL server for clients that do not encrypt: every message can be stopped on its way. */
export class MessageRelay {
  rule: MessageRule = () => 'pass';
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(targetPort: number) {
    this.#server = createServer((client) => {
      const upstream = connect(targetPort, '127.0.0.1');
      // What was passed on before an end still arrives; the other side sees a closed connection, as after a kill.
      const end = (): void => {
        client.destroy();
        upstream.end();
      };
      const link: Link = { query: '', ended: false, end };
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', end).on('close', () => {
          this.#sockets.delete(socket);
          end();
        });
      }
      client.on('data', this.#passer('client', upstream, link));
      upstream.on('data', this.#passer('server', client, link));
    });
  }

  static async open(targetPort: number): Promise<MessageRelay> {
    const relay = new MessageRelay(targetPort);
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  /** A URL for the target, led through this relay in plain text. */
  url(direct: string): string {
    const address = this.#server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    return `${direct.replace(/@127\.0\.0\.1:\d+/, `@127.0.0.1:${port}`)}?sslmode=disable`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #passer(from: 'client' | 'server', to: Socket, link: Link): (chunk: Buffer) => void {
    let pending: Buffer = Buffer.alloc(0);
    let typeBytes = from === 'client' ? 0 : 1;
    return (chunk) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      let passed = 0;
      while (!link.ended && pending.length >= passed + typeBytes + 4) {
        const end = passed + typeBytes + pending.readUInt32BE(passed + typeBytes);
        if (pending.length < end) break;
        const type = pending.toString('latin1', passed, passed + typeBytes);
        const body = pending.subarray(passed + typeBytes + 4, end);
        if (from === 'client' && type === 'Q') link.query = body.toString('utf8', 0, body.length - 1);
        const verdict = this.rule({ from, type, body, query: link.query, connection: link });
        if (verdict !== 'cut') passed = end;
        if (verdict !== 'pass') link.ended = true;
        typeBytes = 1;
      }
      if (passed > 0) to.write(pending.subarray(0, passed));
      pending = pending.subarray(passed);
      if (link.ended) link.end();
    };
  }
}

interface Link {
  query: string;
  ended: boolean;
  readonly end: () => void;
}
