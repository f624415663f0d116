import {
  type CallFacts,
  calleeRecord,
  dialedRecord,
  erasedRecord,
  type Outcome,
  type Party,
} from '../../shared/domain/last-call-record.ts';
import { emptyLastCalls, type LastCalls } from '../../shared/domain/last-calls.ts';
import type { Durability, LastCallsWriter } from '../../shared/postgres/last-calls/last-calls-writer.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Logger } from '../../shared/runtime/logger.ts';

export interface LastCallRecorderOptions {
  readonly writer: Pick<LastCallsWriter, 'record'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onRecord: (group: 'dialed' | 'missed' | 'answered' | 'erased' | 'traced', kept: Kept) => void;
}

/** What became of a record; `lost` when neither PostgreSQL nor the ring file took it. */
export type Kept = Durability | 'lost';

/** Calls whose first INVITE is remembered, so that its retry after a challenge further on counts once (R3). */
const REMEMBERED_CALLS = 20_000;

/**
 * Writes down what calls leave behind. It is kept, whatever becomes of this process, when a method returns; nothing
 * here delays a call, the table gets it later.
 */
export class LastCallRecorder {
  readonly #options: LastCallRecorderOptions;
  readonly #dialedCalls = new Set<string>();

  constructor(options: LastCallRecorderOptions) {
    this.#options = options;
  }

  /** R1, R3: the caller's dialed number, once a call. Null: nothing is to be recorded. */
  dialed(call: CallFacts): Promise<Kept> | null {
    if (this.#seen(`${call.callId} ${call.from?.terminalId} ${call.dialed}`)) return null;
    const row = dialedRecord(call, this.#options.clock());
    return row === null ? null : this.#keep(row, 'dialed');
  }

  /** R10, R15: the callee's missed or answered call. */
  ended(call: CallFacts, outcome: Outcome): Promise<Kept> | null {
    const row = calleeRecord(call, outcome, this.#options.clock());
    return row === null ? null : this.#keep(row, outcome === 'answered' ? 'answered' : 'missed');
  }

  /** F19. Resolves with what became of it: the subscriber hears no success before. */
  erased(terminal: Party): Promise<Kept> {
    return this.#keep(erasedRecord(terminal, this.#options.clock()), 'erased');
  }

  traced(terminal: Party): Promise<Kept> {
    const row = {
      ...emptyLastCalls(terminal.terminalId, terminal.userId),
      callTraceAt: this.#options.clock(),
    };
    return this.#keep(row, 'traced');
  }

  async #keep(row: LastCalls, group: Parameters<LastCallRecorderOptions['onRecord']>[0]): Promise<Kept> {
    const { writer, log, onRecord } = this.#options;
    const kept = await writer.record(row).catch((err: unknown): Kept => {
      log.error({ err, terminalId: row.terminalId, group }, 'call not recorded');
      return 'lost';
    });
    onRecord(group, kept);
    return kept;
  }

  #seen(call: string): boolean {
    if (this.#dialedCalls.has(call)) return true;
    this.#dialedCalls.add(call);
    if (this.#dialedCalls.size > REMEMBERED_CALLS) {
      const oldest = this.#dialedCalls.values().next().value;
      if (oldest !== undefined) this.#dialedCalls.delete(oldest);
    }
    return false;
  }
}
