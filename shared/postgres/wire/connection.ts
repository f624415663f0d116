/**
 * A PostgreSQL connection that hands out raw bytes: for logical streaming, binary COPY and binary array parameters,
 * which `pg` either lacks or pays for twice. Operations run in the order they were asked for; one waits for the end of
 * the one before, except that small pipelines follow each other at once.
 */
import type { Socket } from 'node:net';
import { authenticate } from './authentication.ts';
import { openByteStream } from './byte-stream.ts';
import { ByteWriter } from './byte-writer.ts';
import type { ConnectionTarget } from './connection-target.ts';
import { FrameBuffer } from './frame-buffer.ts';
import {
  readCString,
  readServerError,
  writeBare,
  writeDescribePortal,
  writeExecute,
  writeParse,
  writeStartup,
  writeText,
  writeTextBind,
} from './messages.ts';
import { ConnectionLost, NoAnswer, type ServerError } from './server-error.ts';
import { type TextResult, TextResults } from './text-result.ts';

/** Takes CopyData bodies in place: copy what is kept. */
export type CopyDataHandler = (bytes: Buffer, start: number, end: number) => void;

export interface OpenOptions {
  readonly target: ConnectionTarget;
  readonly host: { readonly host: string; readonly port: number };
  /** `database` makes it a walsender that also decodes. */
  readonly replication?: 'database';
  readonly applicationName: string;
  /** Run-time parameters for the startup message. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Silence while it is opened that is too long; default the target's. */
  readonly connectTimeoutMs?: number | undefined;
}

interface Operation {
  /** Neither waits for an answer within nor is too large to be followed by another of its kind. */
  readonly isPipeline?: boolean;
  /** Writes the request. Called when every earlier operation has ended. */
  start(): void;
  onMessage(type: string, body: Buffer): void;
  /** ReadyForQuery, with the first error since the start. */
  end(error: ServerError | null): void;
  fail(error: Error): void;
  readonly onCopyData?: CopyDataHandler | undefined;
}

const COPY_DATA = 0x64;

export class Connection {
  /** Called for each NOTIFY. */
  onNotification: ((channel: string, payload: string) => void) | null = null;
  /** Called once, when the connection has ended for whatever reason. */
  onClosed: ((cause: Error) => void) | null = null;
  readonly parameters = new Map<string, string>();
  backendPid = 0;
  /** When the last bytes came, by the monotonic clock. */
  readAtMs = performance.now();

  readonly #out = new ByteWriter();
  readonly #frames = new FrameBuffer();
  #socket: Socket | null = null;
  readonly #waiting: Operation[] = [];
  /** Written and not ended; the server answers in this order. */
  readonly #begun: Operation[] = [];
  /** What was written last is still the writer's own memory. */
  #isLarge = false;
  #error: ServerError | null = null;
  #closed: Error | null = null;

  /** Throws `ConnectionLost`, `ProtocolRefused`, or `ServerError` when the server refuses the login. */
  static async open(options: OpenOptions): Promise<Connection> {
    const connection = new Connection();
    try {
      await connection.#open(options);
      return connection;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  get closed(): boolean {
    return this.#closed !== null;
  }

  /** 150012 for 15.12. */
  get serverVersion(): number {
    const [major, minor] = (this.parameters.get('server_version') ?? '').split('.');
    return Number.parseInt(major ?? '0', 10) * 10_000 + (Number.parseInt(minor ?? '0', 10) || 0);
  }

  /** Statements over the simple protocol, one implicit transaction; the results in order. Throws `ServerError`. */
  async simple(sql: string): Promise<TextResult[]> {
    const results = new TextResults();
    await this.#run({
      start: () => this.#send((out) => writeText(out, 'Q', sql)),
      onMessage: (type, body) => results.take(type, body),
    });
    return results.all;
  }

  /** One statement with text parameters over the extended protocol. */
  async query(sql: string, parameters: readonly (string | null)[] = []): Promise<TextResult> {
    const [result] = await this.pipeline((out) => {
      writeParse(out, '', sql);
      writeTextBind(out, '', parameters);
      writeDescribePortal(out);
      writeExecute(out);
    });
    return result ?? { columns: [], rows: [], rowCount: 0 };
  }

  async prepare(statement: string, sql: string): Promise<void> {
    await this.pipeline((out) => writeParse(out, statement, sql));
  }

  /** Extended-protocol messages ended by one Sync: one round trip and one implicit transaction, all or nothing. */
  async pipeline(write: (out: ByteWriter) => void): Promise<TextResult[]> {
    const results = new TextResults();
    await this.#run({
      isPipeline: true,
      start: () =>
        this.#send((out) => {
          write(out);
          writeBare(out, 'S');
        }),
      onMessage: (type, body) => results.take(type, body),
    });
    return results.all;
  }

  /** `sql` may hold other statements beside one COPY FROM STDIN. `produce` sends whole CopyData messages through `send`. */
  async copyIn(
    sql: string,
    produce: (send: (frames: Buffer) => Promise<void>) => Promise<void>,
  ): Promise<TextResult[]> {
    const results = new TextResults();
    const feed = async (): Promise<void> => {
      try {
        await produce((frames) => this.#sendWhenWritable(frames));
        this.#send((out) => writeBare(out, 'c'));
      } catch (cause) {
        this.#send((out) => writeText(out, 'f', cause instanceof Error ? cause.message : 'copy stopped'));
      }
    };
    await this.#run({
      start: () => this.#send((out) => writeText(out, 'Q', sql)),
      onMessage: (type, body) => {
        if (type === 'G') void feed();
        else results.take(type, body);
      },
    });
    return results.all;
  }

  async copyOut(sql: string, onCopyData: CopyDataHandler): Promise<TextResult[]> {
    const results = new TextResults();
    await this.#run({
      start: () => this.#send((out) => writeText(out, 'Q', sql)),
      onMessage: (type, body) => results.take(type, body),
      onCopyData,
    });
    return results.all;
  }

  /** Enters CopyBoth. Resolves `started` once the server agrees; `ended` when the stream ends, rejecting with the cause. */
  copyBoth(sql: string, onCopyData: CopyDataHandler): { started: Promise<void>; ended: Promise<void> } {
    let ended: Promise<void> = Promise.resolve();
    const started = new Promise<void>((resolve, reject) => {
      ended = this.#run({
        start: () => this.#send((out) => writeText(out, 'Q', sql)),
        onMessage: (type) => {
          if (type === 'W') resolve();
          else if (type === 'c') this.#send((out) => writeBare(out, 'c'));
        },
        onCopyData,
      });
      ended.then(() => reject(new ConnectionLost('the stream ended before it began')), reject);
    });
    return { started, ended };
  }

  /** One CopyData message within CopyBoth. */
  sendCopyData(fill: (out: ByteWriter) => void): void {
    this.#send((out) => {
      const at = out.startMessage('d');
      fill(out);
      out.endMessage(at);
    });
  }

  sendCopyDone(): void {
    this.#send((out) => writeBare(out, 'c'));
  }

  /** Stops reading the socket: the server's send buffer fills and it waits (rule 14). Takes effect after the current read. */
  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** Ends politely after the running operation. */
  async close(): Promise<void> {
    const socket = this.#socket;
    if (!socket || this.#closed) return;
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    if (this.#begun.length === 0) this.#send((out) => writeBare(out, 'X'));
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), 500);
    await gone;
    clearTimeout(timer);
  }

  destroy(cause?: Error): void {
    this.#socket?.destroy(cause);
    if (!this.#socket) this.#fail(cause ?? null);
  }

  async #open({ host, replication, applicationName, settings, ...options }: OpenOptions): Promise<void> {
    const { connectTimeoutMs = options.target.connectTimeoutMs } = options;
    const target = { ...options.target, connectTimeoutMs };
    let waiting: NodeJS.Timeout | undefined;
    const stream = await openByteStream(target, host, this.#frames, {
      onBytes: () => {
        // A link that passes a byte makes progress.
        waiting?.refresh();
        this.#onBytes();
      },
      onClose: (cause) => this.#fail(cause),
    });
    this.#socket = stream.socket;
    const login = authenticate(target, {
      encrypted: stream.encrypted,
      send: (write) => this.#send(write),
      fail: (cause) => this.destroy(cause),
    });
    const giveUp = () => this.destroy(new NoAnswer(`no word of the login in ${connectTimeoutMs} ms`));
    waiting = setTimeout(giveUp, connectTimeoutMs);
    const startup = {
      user: target.user,
      database: target.database,
      client_encoding: 'UTF8',
      application_name: applicationName,
      ...(replication && { replication }),
      ...settings,
    };
    try {
      await this.#run({ start: () => this.#send((out) => writeStartup(out, startup)), onMessage: login });
    } finally {
      clearTimeout(waiting);
      waiting = undefined;
    }
  }

  #send(write: (out: ByteWriter) => void): void {
    const socket = this.#socket;
    if (!socket || this.#closed) return;
    this.#out.reset();
    write(this.#out);
    // A copy lets the writer be used again at once. Large is only a pipeline, and until its answer nothing else is written.
    this.#isLarge = this.#out.length > 65_536;
    socket.write(this.#isLarge ? this.#out.view() : Buffer.from(this.#out.view()));
  }

  async #sendWhenWritable(frames: Buffer): Promise<void> {
    const socket = this.#socket;
    if (!socket || this.#closed) throw this.#closed ?? new ConnectionLost('not connected');
    if (this.#error) throw this.#error;
    if (socket.write(frames)) return;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        socket.off('drain', go).off('close', go);
        resolve();
      };
      socket.on('drain', go).on('close', go);
    });
  }

  #run(steps: Pick<Operation, 'isPipeline' | 'start' | 'onMessage' | 'onCopyData'>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(this.#closed);
        return;
      }
      const operation = {
        ...steps,
        end: (error: ServerError | null) => (error ? reject(error) : resolve()),
        fail: reject,
      };
      this.#waiting.push(operation);
      this.#begin();
    });
  }

  #begin(): void {
    for (let next = this.#waiting[0]; next && this.#mayBegin(next); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#begun.push(next);
      next.start();
    }
  }

  #mayBegin(next: Operation): boolean {
    const last = this.#begun.at(-1);
    return !last || Boolean(last.isPipeline && next.isPipeline && !this.#isLarge);
  }

  #end(): void {
    const error = this.#error;
    this.#error = null;
    this.#begun.shift()?.end(error);
    this.#begin();
  }

  /** What a handler throws ends the connection: its state is unknown from here on. */
  #onBytes(): void {
    this.readAtMs = performance.now();
    try {
      this.#frames.drain(this.#onMessage);
    } catch (cause) {
      this.destroy(cause as Error);
    }
  }

  readonly #onMessage = (type: number, start: number, end: number): void => {
    const [current] = this.#begun;
    if (type === COPY_DATA && current?.onCopyData) {
      current.onCopyData(this.#frames.bytes, start, end);
      return;
    }
    const body = this.#frames.bytes.subarray(start, end);
    switch (String.fromCharCode(type)) {
      case 'Z':
        this.#end();
        break;
      case 'E':
        this.#error ??= readServerError(body);
        break;
      case 'S':
        this.#takeParameter(body);
        break;
      case 'K':
        this.backendPid = body.readInt32BE(0);
        break;
      case 'A': {
        const channel = readCString(body, 4);
        this.onNotification?.(channel.text, readCString(body, channel.next).text);
        break;
      }
      case 'N':
        break;
      default:
        current?.onMessage(String.fromCharCode(type), body);
    }
  };

  #takeParameter(body: Buffer): void {
    const name = readCString(body, 0);
    this.parameters.set(name.text, readCString(body, name.next).text);
  }

  #fail(cause: Error | null): void {
    if (this.#closed) return;
    const said = this.#error;
    this.#closed = said ?? asClosing(cause);
    const open = [...this.#begun.splice(0), ...this.#waiting.splice(0)];
    for (const operation of open) operation.fail(this.#closed);
    this.onClosed?.(this.#closed);
  }
}

/** Errors of this program keep their class; the socket's become `ConnectionLost`. */
function asClosing(cause: Error | null): Error {
  if (cause && !('syscall' in cause) && cause.name !== 'Error') return cause;
  return new ConnectionLost(cause ? cause.message : 'the server closed the connection', { cause });
}
