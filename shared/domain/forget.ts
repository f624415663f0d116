import { GROUP_NAMES, type GroupName, type LastCalls } from './last-calls.ts';
import { type Micros, micros } from './micros.ts';

/** What a forget mark covers. `terminal` covers the three groups and the provisioning as well. */
export type ForgetScope = 'terminal' | 'all' | GroupName;
export const FORGET_SCOPES: readonly ForgetScope[] = ['terminal', 'all', ...GROUP_NAMES];

export interface ForgetMark {
  readonly scope: ForgetScope;
  readonly forgottenAt: Micros;
}

export function isForgetScope(text: string): text is ForgetScope {
  return (FORGET_SCOPES as readonly string[]).includes(text);
}

/** The newest instant up to which `group` is forgotten; `-Infinity` when no mark covers it (C9). */
export function forgottenUntil(group: GroupName, marks: readonly ForgetMark[]): Micros {
  let until = Number.NEGATIVE_INFINITY;
  for (const mark of marks) {
    const covers = mark.scope === group || mark.scope === 'all' || mark.scope === 'terminal';
    if (covers && mark.forgottenAt > until) until = mark.forgottenAt;
  }
  return micros(until);
}

/** The row without the groups that a mark covers: an entry not newer than the mark is ignored, wherever it stands (C9). */
export function withoutForgotten(row: LastCalls, marks: readonly ForgetMark[]): LastCalls {
  if (marks.length === 0) return row;
  const kept = (group: GroupName) => {
    const entry = row[group];
    return entry !== null && entry.at > forgottenUntil(group, marks) ? entry : null;
  };
  return { ...row, dialed: kept('dialed'), received: kept('received'), terminated: kept('terminated') };
}
