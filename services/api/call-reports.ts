import { createHash } from 'node:crypto';
import { isAnonymous } from '../../shared/domain/caller.ts';
import { LastcallError } from '../../shared/domain/errors.ts';
import {
  type CallFacts,
  calleeRecord,
  dialedRecord,
  type Party,
  skewBeyond,
} from '../../shared/domain/last-call-record.ts';
import { type LastCalls, REPORT_KEY_LENGTH } from '../../shared/domain/last-calls.ts';
import { type Micros, parseTimestamptz } from '../../shared/domain/micros.ts';
import {
  DIALABLE_FORM,
  dialableNumber,
  isEmergency,
  normaliseNumber,
  toDialable,
} from '../../shared/domain/number.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { ApiDeps } from './deps.ts';
import type { CallAnswerBody, CallReportBody } from './schemas/call.ts';

/** A party as the report names it: one of ours, or somebody else's number. */
interface Named {
  readonly terminal: StoredTerminal | null;
  readonly number: string;
  /** False when it may be one of ours, and PostgreSQL cannot say now. */
  readonly certain: boolean;
}

/**
 * Turns a PBX's report into the row that it leaves behind (R1 to R8), and writes it. A report without `at` happened now
 * and is dated by R13; one with `at` keeps its date and loses to anything newer.
 */
export class CallReports {
  readonly #deps: ApiDeps;

  constructor(deps: ApiDeps) {
    this.#deps = deps;
  }

  /** `earlierAt`: when this report was heard first, if that attempt was cut short; the record keeps that date. */
  async record(report: CallReportBody, earlierAt: Micros | null = null): Promise<CallAnswerBody> {
    const reportedAt = report.at === undefined ? earlierAt : this.#dateOf(report.at);
    const dialed = report.event === 'dialed';
    const [from, to] = await Promise.all([
      this.#named(report.from ?? '', dialed),
      this.#named(report.to, !dialed),
    ]);
    const subject = dialed ? from.terminal : to.terminal;
    if (!subject) {
      const terminal = dialed ? (report.from ?? null) : report.to;
      throw new LastcallError('TERMINAL_NOT_FOUND', { details: { terminal } });
    }
    const { callId, event } = report;
    const answer = { callId, event, terminalId: subject.terminalId };
    const at = reportedAt ?? this.#deps.clock();
    const facts = this.#facts(report, from, to);
    const row = this.#isFeatureCode(report, to) ? null : rowOf(event, facts, at);
    if (row === null) return { ...answer, result: 'ignored', reason: this.#whyIgnored(report, facts, to) };
    refuseUndialable(dialed ? { to } : facts.callerDialable === null ? {} : { from });
    const key = reportKey(report);
    if (reportedAt === null && (await this.#stands(report, key, subject.terminalId)))
      return { ...answer, result: 'recorded' };
    const { kept, writer } = this.#deps;
    const dating = reportedAt === null ? 'live' : 'as-recorded';
    const durability = await writer.record({ ...row, reports: key }, dating);
    if (durability === 'durable') return { ...answer, result: 'recorded' };
    await kept.synced();
    return { ...answer, result: 'journalled' };
  }

  /**
   * Whether some site's table has this very call: a repetition, heard here for the first time because its first hearing
   * was at another site. Dated now it would hide what came between.
   */
  async #stands({ callId, event }: CallReportBody, key: string, terminalId: number): Promise<boolean> {
    const { sources } = await this.#deps.reader.read(terminalId);
    const group = event === 'missed' ? 'received' : 'terminated';
    return sources.some((source) => {
      if (!('row' in source) || source.row === null) return false;
      const { row } = source;
      return row.reports?.split(' ').includes(key) || (event !== 'dialed' && row[group]?.callId === callId);
    });
  }

  #facts(report: CallReportBody, from: Named, to: Named): CallFacts {
    const withheld = report.withheld === true || from.number === '' || isAnonymous(report.from ?? '');
    const { dialRules, emergencyNumbers } = this.#deps.policy;
    const uri = from.terminal?.aor ?? (report.from?.includes('@') ? report.from : null);
    return {
      callId: report.callId,
      from: from.terminal && party(from.terminal),
      caller: {
        number: withheld ? null : from.number,
        uri: withheld ? null : uri,
        withheld: withheld ? 'privacy' : null,
      },
      callerDialable: withheld ? null : toDialable(from.number, dialRules),
      to: to.terminal && party(to.terminal),
      dialed: to.number,
      dialedNumberId: to.terminal?.numberId ?? null,
      emergency: isEmergency(report.to, to.number, emergencyNumbers),
      forwardedBy: report.forwardedBy ?? null,
      originalCalled: report.originalCalled ?? null,
      privacy: withheld ? ['id'] : [],
    };
  }

  /** The other party may be anybody; only the one whose row is written must be known for sure. */
  async #named(name: string, isSubject: boolean): Promise<Named> {
    if (name === '') return { terminal: null, number: '', certain: true };
    const found = this.#deps.directory.find(name);
    const terminal = await (isSubject ? found : found.catch(() => undefined));
    if (terminal) return { terminal, number: terminal.number, certain: true };
    const userPart = /^sips?:([^@;]+)/i.exec(name)?.[1];
    return { terminal: null, number: normaliseNumber(userPart ?? name), certain: terminal === null };
  }

  /** R1: a star code is never the last dialed number, whatever it resolves to. */
  #isFeatureCode(report: CallReportBody, to: Named): boolean {
    return report.event === 'dialed' && this.#deps.policy.codes.has(to.number);
  }

  #whyIgnored(
    report: CallReportBody,
    facts: CallFacts,
    to: Named,
  ): 'feature-code' | 'emergency' | 'own-number' {
    if (this.#isFeatureCode(report, to)) return 'feature-code';
    return facts.emergency ? 'emergency' : 'own-number';
  }

  #dateOf(text: string): Micros {
    const at = parseTimestamptz(text);
    if (at === null || !Number.isFinite(at)) {
      throw new LastcallError('INVALID_VALUE', {
        details: { at: text, expected: 'RFC 3339, such as 2026-11-21T03:47:00Z' },
      });
    }
    const { clock, policy } = this.#deps;
    const beyond = skewBeyond(at, clock(), policy.allowedSkewMs);
    if (beyond > 0) {
      // R14: accepted, it would hide every call of the time until then.
      const message = `at lies ${Math.round(beyond / 1000)} ms further ahead of this clock than is allowed`;
      throw new LastcallError('INVALID_VALUE', { details: { at: text, message } });
    }
    return at;
  }
}

/** What a report is known by at every site, short enough to travel with the row. */
function reportKey({ callId, event }: CallReportBody): string {
  return createHash('sha256').update(`${event} ${callId}`).digest('base64url').slice(0, REPORT_KEY_LENGTH);
}

function rowOf(event: CallReportBody['event'], facts: CallFacts, at: Micros): LastCalls | null {
  return event === 'dialed' ? dialedRecord(facts, at) : calleeRecord(facts, event, at);
}

/** F21: a party that is neither one of ours nor a number; such a text is never kept for somebody to dial. */
function refuseUndialable(parties: Readonly<Record<string, Named>>): void {
  for (const [name, { certain, number }] of Object.entries(parties)) {
    if (certain && dialableNumber(number) === null)
      throw new LastcallError('INVALID_VALUE', {
        details: { [name]: number, expected: `a terminal, or a number of ${DIALABLE_FORM}` },
      });
  }
}

function party({ terminalId, userId, number, numberId }: StoredTerminal): Party {
  return { terminalId, userId, number, numberId };
}
