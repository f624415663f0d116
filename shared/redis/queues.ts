import {
  type JobsOptions,
  type Processor,
  Queue,
  type QueueOptions,
  Worker,
  type WorkerOptions,
} from 'bullmq';
import type { Logger } from '../runtime/logger.ts';
import { keyPrefix } from './keys.ts';
import { isElsewhere, redisPlace } from './redis-place.ts';

/** The BullMQ queues of a site. */
export type QueueName =
  | 'journal'
  | 'failover'
  | `alert-${'board' | 'command' | 'webhook' | 'mail'}`
  | 'switchover';

export interface QueuePlace {
  readonly site: string;
  /** Of the site's Redis. */
  readonly url: string;
  readonly log: Pick<Logger, 'debug'>;
}

/** A site's queue, on a connection of its own, for {@link closeQueue}. While Redis is away its commands fail at once. */
export function openQueue<T>(
  name: QueueName,
  { site, url, log }: QueuePlace,
  options: Omit<QueueOptions, 'connection' | 'prefix'> = {},
): Queue<T, unknown, string> {
  const connection = connectionOptions(url, site, { enableOfflineQueue: false, maxRetriesPerRequest: 1 });
  const queue = new Queue<T, unknown, string>(name, { ...options, connection, prefix: keyPrefix(site) });
  queue.on('error', logError(log, name));
  return queue;
}

/** A worker on a site's queue, on two connections of its own: it blocks on one. */
export function openWorker<T>(
  name: QueueName,
  work: Processor<T>,
  { site, url, log }: QueuePlace,
  options: Omit<WorkerOptions, 'connection' | 'prefix'> = {},
): Worker<T> {
  const connection = connectionOptions(url, site, { maxRetriesPerRequest: null });
  const worker = new Worker<T>(name, work, { ...options, connection, prefix: keyPrefix(site) });
  worker.on('error', logError(log, name));
  return worker;
}

const CLOSE_LIMIT_MS = 2_000;

/**
 * Ends a queue, or a worker when the job in its hands is done (`force`: at once). Never rejects. With Redis away, or just
 * coming back, BullMQ waits or goes on trying for ever: after 2 s, or its first fault, the connection is cut.
 */
export async function closeQueue(
  part: Pick<Worker | Queue, 'close' | 'disconnect'>,
  force = false,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), CLOSE_LIMIT_MS);
  });
  const closed = part.close(force).then(
    () => true,
    () => false,
  );
  if (!(await Promise.race([closed, late]))) void part.disconnect().catch(() => {});
  clearTimeout(timer);
}

/** Quietly: each failure also reaches its caller, and that Redis is away the process's own connection tells. */
function logError(log: Pick<Logger, 'debug'>, queue: QueueName): (err: Error) => void {
  return (err) => log.debug({ err, queue }, 'queue connection');
}

/** A finished job has its report in PostgreSQL; Redis keeps the last few for debugging. */
export const JOB_RETENTION: JobsOptions = { removeOnComplete: 100, removeOnFail: 1_000 };

function connectionOptions(
  url: string,
  site: string,
  options: { enableOfflineQueue?: boolean; maxRetriesPerRequest: number | null },
) {
  return {
    ...redisPlace(url, site),
    reconnectOnError: isElsewhere,
    retryStrategy: (attempt: number) => Math.min(2_000, 50 * 2 ** Math.min(attempt, 10)),
    ...options,
  };
}
