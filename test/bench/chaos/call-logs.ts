import type { Call } from './freshest-model.ts';

interface Line {
  readonly what: string;
  readonly callId: string;
  readonly rest: readonly string[];
}

/** `began CALL-ID ...`: what dial-list.xml and answer-busy.xml log, a line for each event. */
function linesOf(log: string): Line[] {
  return log
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [what = '', callId = '', ...rest] = line.split(' ');
      return { what, callId, rest };
    });
}

const milliseconds = ([seconds, micros]: readonly string[]): number =>
  Number(seconds) * 1_000 + Number(micros) / 1_000;

/** The calls of a caller's log, with whom the called phones' log says they reached: every call keeps its Call-ID on the way. */
export function callsOf(dialedLog: string, reachedLog: string): Call[] {
  const reached = new Map<string, Set<string>>();
  for (const { callId, rest } of linesOf(reachedLog)) {
    const numbers = reached.get(callId) ?? new Set();
    reached.set(callId, numbers.add(rest[0] ?? ''));
  }
  const lines = linesOf(dialedLog);
  const ends = new Map(lines.flatMap((line) => (line.what === 'began' ? [] : [[line.callId, line.rest]])));
  return lines
    .filter(({ what }) => what === 'began')
    .map(({ callId, rest }) => {
      const [, , caller = '', dialed = '', site = ''] = rest;
      const end = ends.get(callId);
      return {
        callId,
        site,
        caller,
        dialed,
        beganMs: milliseconds(rest),
        endedMs: end ? milliseconds(end) : Number.POSITIVE_INFINITY,
        status: end?.[2] === undefined ? null : Number(end[2]),
        reached: [...(reached.get(callId) ?? [])],
      };
    });
}
