import { randomUUID } from 'node:crypto';
import { type EndedCall, finishedCall } from '../../shared/domain/finished-call.ts';
import {
  type StoredCall,
  type TalkTime,
  writeCallRecords,
  writeTalkTimes,
} from '../../shared/postgres/call-records/write-call-records.ts';
import type { Database } from '../../shared/postgres/database.ts';
import { translatePostgresError } from '../../shared/postgres/postgres-error.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Logger } from '../../shared/runtime/logger.ts';

export interface CallRecordWriterOptions {
  readonly database: Pick<Database, 'query' | 'state'>;
  readonly clock: Clock;
  readonly budgetMs: number;
  readonly maxRows: number;
  readonly log: Logger;
}

const EVERY_MS = 200;
/** What waits while PostgreSQL is away; beyond it the oldest go. */
const MOST_WAITING = 50_000;
/** Answered calls whose end is waited for. */
const MOST_TALKING = 200_000;

/**
 * One row a finished call, in batches, beside the path of the call: a method only keeps an object. Unlike last calls these
 * rows are not in the ring: a process that is killed loses those of its last moment.
 */
export class CallRecordWriter {
  readonly #options: CallRecordWriterOptions;
  #calls: StoredCall[] = [];
  #times: TalkTime[] = [];
  readonly #talking = new Map<string, { readonly call: StoredCall; readonly answeredMs: number }>();
  #timer: NodeJS.Timeout | null = null;
  #flight: Promise<void> | null = null;
  #dropped = 0;

  constructor(options: CallRecordWriterOptions) {
    this.#options = options;
  }

  /** Calls that were not written for want of room. */
  get dropped(): number {
    return this.#dropped;
  }

  ended(call: EndedCall): void {
    const row = { ...finishedCall(call, this.#options.clock()), recordId: randomUUID() };
    this.#calls.push(row);
    if (call.result === 'answered') this.#talks(row);
    this.#soon();
  }

  /** BYE of a call that was answered through this process. */
  hungUp(callId: string | undefined): void {
    const talk = this.#talking.get(callId ?? '');
    if (talk === undefined) return;
    this.#talking.delete(talk.call.callId);
    const { at, recordId } = talk.call;
    this.#times.push({ at, recordId, talkMs: Math.round(performance.now() - talk.answeredMs) });
    this.#soon();
  }

  /** Writes what there is, if PostgreSQL is there. */
  async stop(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#flight;
    if (this.#options.database.state.state === 'up') await this.#write();
  }

  #talks(call: StoredCall): void {
    this.#talking.set(call.callId, { call, answeredMs: performance.now() });
    if (this.#talking.size <= MOST_TALKING) return;
    const oldest = this.#talking.keys().next().value;
    if (oldest !== undefined) this.#talking.delete(oldest);
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#flight ??= this.#write().finally(() => {
        this.#flight = null;
        if (this.#calls.length > 0 || this.#times.length > 0) this.#soon();
      });
    }, EVERY_MS).unref();
  }

  async #write(): Promise<void> {
    const { budgetMs, database, log, maxRows } = this.#options;
    try {
      while (this.#calls.length > 0) {
        const page = this.#calls.slice(0, maxRows);
        await writeCallRecords(database, page, budgetMs);
        this.#calls = this.#calls.slice(page.length);
      }
      // After the rows that they belong to.
      const times = this.#times;
      if (times.length > 0) await writeTalkTimes(database, times, budgetMs);
      this.#times = this.#times.slice(times.length);
    } catch (err) {
      // A page that PostgreSQL will never take must not hold up those after it.
      const refused = translatePostgresError(err).code === 'INVALID_VALUE' ? maxRows : 0;
      log[refused > 0 ? 'warn' : 'debug']({ err }, 'call records not written');
      this.#letGo(Math.max(refused, this.#calls.length - MOST_WAITING));
    }
  }

  /** The oldest. */
  #letGo(count: number): void {
    this.#times = this.#times.slice(-MOST_WAITING);
    if (count <= 0) return;
    this.#dropped += Math.min(count, this.#calls.length);
    this.#calls = this.#calls.slice(count);
  }
}
