import type { ChildProcess } from 'node:child_process';
import pg from 'pg';

/** One way to carry site a's table to another database: ours, or PostgreSQL's own. */
export interface Engine {
  readonly name: string;
  /** Where its copy stands, as superuser. */
  readonly copyUrl: string;
  /** The slot at the origin, as a LIKE pattern; its walsender's CPU is the engine's. */
  readonly slot: string;
  /** Connects for the first time, or again with an empty copy: the initial copy runs. Resolves when it streams. */
  synchronise(): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Gone, with its slot, so that it costs the next engine nothing. */
  remove(): Promise<void>;
  /** Processes outside PostgreSQL. */
  workers(): ChildProcess[];
}

export async function withClient<T>(url: string, body: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'bench' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await body(client);
  } finally {
    await client.end();
  }
}

export async function execute(url: string, sql: string): Promise<Record<string, unknown>[]> {
  return withClient(url, async (client) => {
    const result = (await client.query(sql)) as pg.QueryResult | pg.QueryResult[];
    return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? [];
  });
}

/** Waits for a condition; throws at the deadline. */
export async function until(
  condition: () => Promise<boolean>,
  what: string,
  deadlineMs = 600_000,
  everyMs = 20,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
