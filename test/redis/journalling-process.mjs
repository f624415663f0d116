// Journals one terminal after another and prints each id once it is kept: `node journalling-process.mjs REDIS_URL SITE`.
import { callGroup, emptyLastCalls } from '../../dist/shared/domain/last-calls.js';
import { RedisConnection } from '../../dist/shared/redis/connect.js';
import { Journal } from '../../dist/shared/redis/journal.js';
import { createLogger } from '../../dist/shared/runtime/logger.js';

const [url, site] = process.argv.slice(2);
const redis = new RedisConnection({ url, commandTimeoutMs: 1_000 });
const journal = new Journal({
  redis,
  url,
  site,
  unwritten: () => [],
  appendTimeoutMs: 1_000,
  apply: async () => {},
  log: createLogger('journalling', site, { level: 'silent', pretty: false, fullNumbers: false }),
});
redis.onReady(async () => {
  for (let terminalId = 1; ; terminalId++) {
    const row = { ...emptyLastCalls(terminalId), dialed: callGroup(terminalId, { number: `${terminalId}` }) };
    if (await journal.append([row])) process.stdout.write(`${terminalId}\n`);
  }
});
redis.start();
