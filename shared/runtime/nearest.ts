/** The known name that a mistyped one was probably meant to be: at most two edits away, the case aside. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: { name: string; edits: number } | undefined;
  for (const candidate of known) {
    const edits = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (edits <= 2 && edits < (best?.edits ?? 3)) best = { name: candidate, edits };
  }
  return best?.name;
}

/** Damerau's: a swap of neighbours is one edit, so that `upd` is near `udp`. */
function editDistance(a: string, b: string): number {
  let [twoBefore, before]: [number[], number[]] = [
    [],
    Array.from({ length: b.length + 1 }, (_, index) => index),
  ];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min(
        (before[j - 1] ?? 0) + (same ? 0 : 1),
        (before[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
      );
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) edits = Math.min(edits, (twoBefore[j - 2] ?? 0) + 1);
      row.push(edits);
    }
    [twoBefore, before] = [before, row];
  }
  return before[b.length] ?? 0;
}
