import type { GroupName, LastCalls, TableEntry } from './answers.ts';

/** How one source's entry of a group fared against the others (C1 to C9). */
export type Fate =
  | { readonly kind: 'empty' }
  | { readonly kind: 'unreadable' }
  | { readonly kind: 'winner'; readonly why: string }
  | { readonly kind: 'older'; readonly byMs: number }
  | { readonly kind: 'same' }
  | { readonly kind: 'forgotten' };

/** Every source's fate, in the order of the answer. `ownSite`: whose writes stand under `pending`. */
export function fates(calls: LastCalls, group: GroupName, ownSite: string): ReadonlyMap<string, Fate> {
  const chosen = calls[group];
  const entries = Object.entries(calls.tables).map(
    ([source, table]) => [source, table?.[group] ?? null] as const,
  );
  const winner = chosen && entries.find(([source, entry]) => isChosen(source, entry, chosen, ownSite))?.[0];
  const present = entries.filter(([, entry]) => entry !== null && chosen !== null && entry.at <= chosen.at);
  return new Map(
    entries.map(([source, entry]): [string, Fate] => {
      if (calls.unreadable.includes(source)) return [source, { kind: 'unreadable' }];
      if (entry === null) return [source, { kind: 'empty' }];
      // Newer than what was chosen, or alone and yet not chosen: a forget mark stands above it (C9).
      if (chosen === null || entry.at > chosen.at) return [source, { kind: 'forgotten' }];
      if (source === winner) return [source, { kind: 'winner', why: whyWinner(source, present, chosen.at) }];
      if (entry.at === chosen.at) return [source, { kind: 'same' }];
      return [source, { kind: 'older', byMs: Date.parse(chosen.at) - Date.parse(entry.at) }];
    }),
  );
}

function isChosen(
  source: string,
  entry: TableEntry | null,
  chosen: TableEntry & { readonly site: string },
  ownSite: string,
): boolean {
  const site = source === 'pending' ? ownSite : source;
  return entry !== null && site === chosen.site && entry.at === chosen.at && entry.number === chosen.number;
}

function whyWinner(
  winner: string,
  present: readonly (readonly [string, TableEntry | null])[],
  at: string,
): string {
  if (present.length === 1) return 'the only entry';
  const equal = present.filter(([source, entry]) => source !== winner && entry?.at === at);
  return equal.length > 0 ? 'same date, lower site' : 'the newest date';
}
