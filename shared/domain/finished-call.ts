import type { CallFacts } from './last-call-record.ts';
import { type Micros, micros } from './micros.ts';
import { dialableNumber } from './number.ts';

/** One call as it is written down when it is over; the row of `call_records`. */
export interface FinishedCall {
  /** When the INVITE came. */
  readonly at: Micros;
  readonly callId: string;
  readonly fromTerminalId: number | null;
  readonly fromNumber: string | null;
  readonly withheld: boolean;
  readonly toTerminalId: number | null;
  /** As dialed; after a star code the number that it stood for, null when the code was refused. */
  readonly toNumber: string | null;
  readonly code: 'redial' | 'return' | null;
  /** Which site's table that number came from. */
  readonly sourceSite: string | null;
  readonly sourceAgeMs: number | null;
  /** `answered`, `missed`, `refused`, `cancelled`, `abandoned`, `offline`, or why a star code was refused. */
  readonly result: string;
  /** The final status. */
  readonly status: number;
  readonly setupMs: number;
  /** From the answer to BYE; null: not answered, or its end was not seen. */
  readonly talkMs: number | null;
}

/** Where the number of a star code came from. */
export interface NumberSource {
  readonly site: string;
  readonly at: Micros;
}

export interface EndedCall {
  readonly facts: Pick<CallFacts, 'callId' | 'from' | 'caller' | 'to'>;
  readonly dialed: string | null;
  readonly code: 'none' | 'redial' | 'return';
  readonly source: NumberSource | null;
  readonly result: string;
  readonly status: number;
  readonly setupMs: number;
}

/** R7: a caller who withheld the number is not in the row at all; F21: numbers are dialable ones. */
export function finishedCall(call: EndedCall, now: Micros): FinishedCall {
  const { code, dialed, facts, result, setupMs, source, status } = call;
  const withheld = facts.caller.number === null;
  return {
    at: micros(now - Math.round(setupMs * 1000)),
    callId: facts.callId,
    fromTerminalId: withheld ? null : (facts.from?.terminalId ?? null),
    fromNumber: facts.caller.number === null ? null : dialableNumber(facts.caller.number),
    withheld,
    toTerminalId: facts.to?.terminalId ?? null,
    toNumber: dialed === null ? null : dialableNumber(dialed),
    code: code === 'none' ? null : code,
    sourceSite: source?.site ?? null,
    sourceAgeMs: source === null ? null : Math.max(0, Math.round((now - source.at) / 1000)),
    result,
    status,
    setupMs: Math.round(setupMs),
    talkMs: null,
  };
}
