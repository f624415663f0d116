/** A name held back at one source, or (`source` null) at every source it never logged in from (G7). */
export interface Ban {
  readonly name: string;
  readonly source: string | null;
  readonly failures: number;
  /** Milliseconds since 1970. */
  readonly heldUntilMs: number;
}

/** One list of several processes': a name at a source once, as held longest; the longest first, and not who is free again. */
export function mergeBans(lists: readonly (readonly Ban[])[], nowMs: number): Ban[] {
  const merged = new Map<string, Ban>();
  for (const ban of lists.flat()) {
    if (ban.heldUntilMs <= nowMs) continue;
    const key = `${ban.source ?? ''}\n${ban.name}`;
    const before = merged.get(key);
    const failures = ban.failures + (before?.failures ?? 0);
    merged.set(key, { ...ban, failures, heldUntilMs: Math.max(ban.heldUntilMs, before?.heldUntilMs ?? 0) });
  }
  return [...merged.values()].sort((a, b) => b.heldUntilMs - a.heldUntilMs);
}
