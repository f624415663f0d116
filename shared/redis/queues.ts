import type { JobsOptions, Queue, QueueOptions, Worker, WorkerOptions } from 'bullmq';
import { keyPrefix } from './keys.ts';

/** The BullMQ queues of a site. */
export type QueueName = 'journal' | 'failover' | 'alert' | 'switchover';

/** BullMQ's options for a site's queue. BullMQ opens its own connections: workers block on theirs. */
export function queueOptions(site: string, url: string): QueueOptions {
  return {
    connection: connectionOptions(url, { enableOfflineQueue: false, maxRetriesPerRequest: 1 }),
    prefix: keyPrefix(site),
  };
}

export function workerOptions(site: string, url: string): WorkerOptions {
  return { connection: connectionOptions(url, { maxRetriesPerRequest: null }), prefix: keyPrefix(site) };
}

/** A finished job has its report in PostgreSQL; Redis keeps the last few for debugging. */
export const JOB_RETENTION: JobsOptions = { removeOnComplete: 100, removeOnFail: 1_000 };

const CLOSE_LIMIT_MS = 2_000;

/**
 * Ends a queue, or a worker when the job in its hands is done (`force`: at once). Never throws. One whose connection is
 * just coming back can wait for ever, so after 2 s it is cut off.
 */
export async function closeBullmq(part: Queue | Worker, force = false): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), CLOSE_LIMIT_MS);
  });
  const closed = (part as Worker).close(force).catch(() => {});
  if ((await Promise.race([closed, limit])) === 'late') void part.disconnect().catch(() => {});
  clearTimeout(timer);
}

function connectionOptions(
  url: string,
  options: { enableOfflineQueue?: boolean; maxRetriesPerRequest: number | null },
) {
  const { hostname, port, username, password, pathname, protocol } = new URL(url);
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 6379),
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    ...(pathname.length > 1 && { db: Number(pathname.slice(1)) }),
    ...(protocol === 'rediss:' && { tls: {} }),
    retryStrategy: (attempt: number) => Math.min(2_000, 50 * 2 ** Math.min(attempt, 10)),
    ...options,
  };
}
