// A queue and its worker, closed when standard input ends: `node queue-process.mjs REDIS_URL`. Prints `ready`, then what it logs.
import { pino } from 'pino';
import { closeQueue, openQueue, openWorker } from '../../dist/shared/redis/queues.js';

const place = { site: 'a', url: process.argv[2], log: pino({ level: 'debug' }) };
const queue = openQueue('alert', place);
const worker = openWorker('alert', async () => {}, place);
await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
process.stdin.resume().on('end', async () => {
  await worker.close(true);
  await closeQueue(queue);
});
process.stdout.write('ready\n');
