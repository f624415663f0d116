/** How long a primary that has answered waits for another one to answer: only a server on a newer timeline takes its place. */
const RIVAL_GRACE_MS = 200;

export interface Primary<T> {
  readonly value: T;
  readonly timeline: number;
}

/**
 * Of servers asked at once, the primary on the newest timeline: an old primary that came back after its standby was
 * promoted takes writes as well, and they would be lost. Mute servers delay nobody for longer than the grace.
 * Rejects with the `AggregateError` of all faults. `onUnused` gets every primary that was not chosen, also late ones.
 */
export async function newestPrimary<T>(
  asked: readonly Promise<Primary<T>>[],
  onUnused: (value: T) => void = () => {},
): Promise<T> {
  const found: Primary<T>[] = [];
  let chosen: Primary<T> | null = null;
  for (const answer of asked) {
    answer
      .then((primary) => (chosen === null ? found.push(primary) : onUnused(primary.value)))
      .catch(() => {});
  }
  await Promise.any(asked);
  let timer: NodeJS.Timeout | undefined;
  const grace = new Promise((resolve) => {
    timer = setTimeout(resolve, RIVAL_GRACE_MS);
  });
  await Promise.race([Promise.allSettled(asked), grace]);
  clearTimeout(timer);
  const best = found.reduce((newest, primary) => (primary.timeline > newest.timeline ? primary : newest));
  chosen = best;
  for (const primary of found) if (primary !== best) onUnused(primary.value);
  return best.value;
}
