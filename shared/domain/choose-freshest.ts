import { type ForgetMark, forgottenUntil } from './forget.ts';
import { type CallGroup, compareContent, type GroupName, type LastCalls } from './last-calls.ts';
import type { Micros } from './micros.ts';

/**
 * One place that may know the terminal's last calls: a `lastcalls_<site>` table, named by its site, or this site's
 * writes that no table has yet, named by this site with `pending` set (C8).
 */
export type Source =
  | { readonly site: string; readonly pending?: boolean; readonly row: LastCalls | null }
  | { readonly site: string; readonly pending?: boolean; readonly unreadable: string };

/** The answer of {@link chooseFreshest}. `degraded` names the sources that could not be read (C6). */
export type Choice =
  | {
      readonly kind: 'number';
      readonly number: string;
      readonly site: string;
      readonly entry: CallGroup;
      readonly degraded: readonly string[];
    }
  | {
      readonly kind: 'withheld' | 'erased';
      readonly site: string;
      readonly at: Micros;
      readonly degraded: readonly string[];
    }
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable'; readonly degraded: readonly string[] };

interface Candidate {
  readonly site: string;
  readonly entry: CallGroup;
  readonly withheld: boolean;
}

/**
 * The freshest entry among `groups` over all sources (C1 to C9). Several groups only for call return from any call (F18).
 * Nothing found while a source was unreadable is `unreadable`, never `none`: that source may hold the number (C7).
 */
export function chooseFreshest(
  groups: readonly GroupName[],
  sources: readonly Source[],
  marks: readonly ForgetMark[],
): Choice {
  let best: Candidate | null = null;
  const degraded: string[] = [];
  for (const source of sources) {
    if ('unreadable' in source) {
      degraded.push(source.pending ? 'pending' : source.site);
      continue;
    }
    if (source.row === null) continue;
    for (const group of groups) {
      const entry = source.row[group];
      if (entry === null || entry.at <= forgottenUntil(group, marks)) continue;
      const candidate = { site: source.site, entry, withheld: isWithheld(group, entry, source.row) };
      if (best === null || wins(candidate, best)) best = candidate;
    }
  }
  if (best === null) return degraded.length > 0 ? { kind: 'unreadable', degraded } : { kind: 'none' };
  const { entry, site, withheld } = best;
  if (hasNumber(entry)) return { kind: 'number', number: entry.number, site, entry, degraded };
  return { kind: withheld ? 'withheld' : 'erased', site, at: entry.at, degraded };
}

function hasNumber(entry: CallGroup): entry is CallGroup & { readonly number: string } {
  return entry.number !== null && entry.number !== '';
}

/**
 * Why an entry has no number (C5). A withheld call left its Call-ID or dates the row's last unknown caller; what was
 * erased left nothing but its date. The unknown date alone would not do: a later withheld call of another group moves it.
 * A dialed number is never erased, only kept back: what was dialed was no number (F21).
 */
function isWithheld(group: GroupName, entry: CallGroup, row: LastCalls): boolean {
  return !hasNumber(entry) && (group === 'dialed' || entry.callId !== null || row.unknownPaiAt === entry.at);
}

/** C4: the newest date; at equal dates the lower site id; within one site the greater content, so that order never matters. */
function wins(a: Candidate, b: Candidate): boolean {
  if (a.entry.at !== b.entry.at) return a.entry.at > b.entry.at;
  if (a.site !== b.site) return a.site < b.site;
  const byContent = compareContent(a.entry, b.entry);
  return byContent === 0 ? a.withheld && !b.withheld : byContent > 0;
}
