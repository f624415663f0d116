export type Run = (args: readonly string[]) => Promise<unknown>;

/** What the caller asked for does not exist; the message says what does. */
export class UsageError extends Error {}

/** Runs what the first argument names with the others, and says how it is called when one of them is wrong (exit 2). */
export async function runNamed(
  runs: Readonly<Record<string, () => Promise<Run>>>,
  [name = '', ...args]: readonly string[],
  usage: string,
): Promise<unknown> {
  const load = runs[name];
  try {
    if (load === undefined) throw new UsageError(name === '' ? 'which one?' : `there is no ${name}`);
    return await (await load())(args);
  } catch (cause) {
    if (!isUsage(cause)) throw cause;
    console.error(`${cause.message}\nusage: ${usage}`);
    process.exitCode = 2;
    return undefined;
  }
}

const isUsage = (cause: unknown): cause is Error =>
  cause instanceof UsageError ||
  (cause instanceof Error && String('code' in cause && cause.code).startsWith('ERR_PARSE_ARGS'));
