// A process of two parts that says what happens to it: `node lifecycle-process.mjs [hang|throw|reject]`.
import { runProcess } from '../../../dist/shared/runtime/lifecycle.js';
import { createLogger } from '../../../dist/shared/runtime/logger.js';

const [fault] = process.argv.slice(2);
const say = (text) => process.stdout.write(`${text}\n`);
const timer = setInterval(() => {}, 1_000);
const part = (name, extra = {}) => ({
  name,
  start: () => say(`start ${name}`),
  stop: () => say(`stop ${name}`),
  ...extra,
});
const last =
  {
    hang: { stop: () => new Promise(() => say('hanging')) },
    throw: {
      start: () => {
        throw new Error('no start');
      },
    },
    reject: {
      start: () => {
        setTimeout(() => Promise.reject(new Error('nobody waits')), 10);
      },
    },
  }[fault] ?? {};
const log = createLogger('parts', 'a', { level: 'info', pretty: false, fullNumbers: false });
await runProcess(
  [
    part('database'),
    part('sip', last),
    part('end', { start: () => say('up'), stop: () => clearInterval(timer) }),
  ],
  log,
  60_000,
);
