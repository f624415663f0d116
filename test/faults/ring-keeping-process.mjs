// Keeps one terminal's record after another and tells each id once it is kept: `node keeping-process.mjs DIRECTORY`.
import { writeSync } from 'node:fs';
import { callGroup, emptyLastCalls } from '../../dist/shared/domain/last-calls.js';
import { KeptCalls } from '../../dist/shared/ring/kept-calls.js';

const log = { warn() {}, error() {} };
const [directory] = process.argv.slice(2);
const kept = new KeptCalls({
  directory,
  bytes: 16_777_216,
  fdatasync: false,
  site: 'a',
  service: 'child',
  log,
});
await kept.open();
for (let id = 1; ; id++) {
  if (kept.keep({ ...emptyLastCalls(id), dialed: callGroup(id, { number: `${id}` }) }) === null) break;
  writeSync(1, `${id}\n`);
}
