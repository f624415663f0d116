/** START_REPLICATION on a logical slot: XLogData in, standby status updates out, and a watchdog (rules 5, 8 to 10). */
import { formatLsn, type Lsn, laterLsn, lsn, NO_LSN } from '../../domain/lsn.ts';
import type { Connection } from '../wire/connection.ts';
import { quoteIdentifier, quoteLiteral } from '../wire/quoting.ts';
import { ConnectionLost } from '../wire/server-error.ts';
import { type ChangeSink, decodePgoutput } from './pgoutput.ts';

export interface StreamOptions {
  readonly walsender: Connection;
  readonly slot: string;
  readonly publication: string;
  /** The stored position (rule 3). */
  readonly from: Lsn;
  readonly sink: ChangeSink;
  /** A status goes out this often whatever happens; at most a third of wal_sender_timeout (rule 9). */
  readonly statusIntervalMs: number;
  /** Silence after which the connection is closed (rule 10). */
  readonly silenceLimitMs: number;
  /** The server has sent everything up to here, and no transaction is open. */
  readonly onKeepalive: (serverLsn: Lsn) => void;
  /** After each read from the socket. */
  readonly onRead: () => void;
}

const XLOG_DATA = 0x77;
const KEEPALIVE = 0x6b;
const COMMIT = 0x43;
const MICROS_TO_2000 = 946_684_800_000_000n;

export class ReplicationStream {
  /** How far the server says it has sent. */
  serverLsn: Lsn = NO_LSN;
  receivedAtMs = performance.now();
  /** How old the newest transaction was when the publisher sent it; by one clock, so skew between sites does not matter. */
  backlogAgeMs = 0;

  readonly #options: StreamOptions;
  #acknowledged: Lsn;
  #ended: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #paused = false;
  #readScheduled = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#acknowledged = options.from;
  }

  /** Resolves when the server has begun to stream. Throws what the server answers, e.g. 42704 for a missing slot. */
  async start(): Promise<void> {
    const { walsender, slot, publication, from, statusIntervalMs } = this.#options;
    const options = `proto_version '1', publication_names ${quoteLiteral(quoteIdentifier(publication))}, binary 'true'`;
    const command = `START_REPLICATION SLOT ${quoteIdentifier(slot)} LOGICAL ${formatLsn(from)} (${options})`;
    const stream = walsender.copyBoth(command, this.#onCopyData);
    this.#ended = stream.ended.finally(() => this.#timer && clearInterval(this.#timer));
    this.#ended.catch(() => undefined);
    await stream.started;
    this.receivedAtMs = performance.now();
    this.#timer = setInterval(() => this.#onTimer(), statusIntervalMs);
  }

  /** Settles when the stream ends: rejects with the cause, resolves after {@link stop}. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Only what is durable here: the server forgets everything before it (rule 5). Sent with the next status or `now`. */
  acknowledge(at: Lsn, now = true): void {
    this.#acknowledged = laterLsn(this.#acknowledged, at);
    if (now) this.#sendStatus(false);
  }

  get acknowledged(): Lsn {
    return this.#acknowledged;
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#options.walsender.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.receivedAtMs = performance.now();
    this.#options.walsender.resume();
  }

  /** Ends the stream politely, so that the server forgets neither the last acknowledgement nor who reads the slot. */
  stop(): void {
    this.resume();
    this.#sendStatus(false);
    this.#options.walsender.sendCopyDone();
  }

  readonly #onCopyData = (bytes: Buffer, start: number, end: number): void => {
    if (bytes[start] === XLOG_DATA) {
      decodePgoutput(bytes, start + 25, end, this.#options.sink);
      if (bytes[start + 25] === COMMIT) this.backlogAgeMs = millisBetween(bytes, start + 43, start + 17);
    } else if (bytes[start] === KEEPALIVE) {
      this.serverLsn = laterLsn(this.serverLsn, lsn(bytes.readBigUInt64BE(start + 1)));
      if (bytes[start + 17] === 1) this.#sendStatus(false);
      this.#options.onKeepalive(this.serverLsn);
    }
    if (!this.#readScheduled) {
      this.#readScheduled = true;
      queueMicrotask(this.#afterRead);
    }
  };

  /** A read's messages are decoded in one go; microtasks run after them. */
  readonly #afterRead = (): void => {
    this.#readScheduled = false;
    this.receivedAtMs = performance.now();
    this.#options.onRead();
  };

  #onTimer(): void {
    const { walsender } = this.#options;
    const silentMs = performance.now() - Math.max(this.receivedAtMs, walsender.readAtMs);
    if (!this.#paused && silentMs > this.#options.silenceLimitMs) {
      walsender.destroy(new ConnectionLost(`the publisher has been silent for ${Math.round(silentMs)} ms`));
      return;
    }
    this.#sendStatus(silentMs > this.#options.statusIntervalMs / 2);
  }

  /** Written, flushed and applied are one LSN: what is not durable here does not count. */
  #sendStatus(replyRequested: boolean): void {
    const now = BigInt(Date.now()) * 1000n - MICROS_TO_2000;
    this.#options.walsender.sendCopyData((out) => {
      out.uint8(0x72).int64(this.#acknowledged).int64(this.#acknowledged).int64(this.#acknowledged);
      out.int64(now).uint8(replyRequested ? 1 : 0);
    });
  }
}

function millisBetween(bytes: Buffer, earlierAt: number, laterAt: number): number {
  const high = bytes.readInt32BE(laterAt) - bytes.readInt32BE(earlierAt);
  return (high * 4_294_967_296 + bytes.readUInt32BE(laterAt + 4) - bytes.readUInt32BE(earlierAt + 4)) / 1000;
}
