const EVERY_MS = 5;
/** The process that waits, the one that is asked, and what stands between them. */
const PROCESSES = 3;

/**
 * Milliseconds that `work` takes beyond what a busy machine withheld from it: a timer beside it measures by how much this
 * process came late. Rejects as `work` does.
 */
export async function elapsedMs(work: () => unknown): Promise<number> {
  let withheldMs = 0;
  let lastMs = performance.now();
  const beside = setInterval(() => {
    const nowMs = performance.now();
    withheldMs += Math.max(0, nowMs - lastMs - 2 * EVERY_MS);
    lastMs = nowMs;
  }, EVERY_MS);
  const startedMs = performance.now();
  try {
    await work();
    return performance.now() - startedMs - PROCESSES * withheldMs;
  } finally {
    clearInterval(beside);
  }
}
