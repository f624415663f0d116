import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as tick } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pino from 'pino';
import { callGroup, emptyLastCalls, type LastCalls } from '../../../shared/domain/last-calls.ts';
import { micros } from '../../../shared/domain/micros.ts';
import { KeptCalls } from '../../../shared/ring/kept-calls.ts';
import { writeResult } from '../write-result.ts';

/** As in the benchmark of calls: two records a call, of a random caller and a random callee. */
const TERMINALS = 100_000;
const RECORDS_A_CALL = 2;
/** Of a call's processor time in call-control: the cheapest of the calls measured. */
const CALL_US = 521;
const SHARE = 0.02;

/**
 * What keeping a record costs its process, from before anybody hears of it until every peer holds it: alone, as the rest
 * of a call varies more from run to run than this takes. Processor time of the process, user and system.
 */
export async function bench(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { rate: { type: 'string', default: '1000' }, rounds: { type: 'string', default: '5' } },
  });
  const figures = [];
  for (let round = 0; round < Number(values.rounds); round++)
    figures.push(await measure(Number(values.rate)));
  const [usARecord = 0] = figures.toSorted((x, y) => x - y).slice(figures.length >> 1);
  const usACall = usARecord * RECORDS_A_CALL;
  const share = usACall / CALL_US;
  console.log(
    `${usARecord.toFixed(1)} us a record, ${usACall.toFixed(1)} us a call: ${(share * 100).toFixed(1)} % of ${CALL_US} us (aim: ${SHARE * 100} % at most)`,
  );
  await writeResult('ring', { usARecord, usACall, share, aim: SHARE, rounds: figures });
}

/** At `rate` calls a second for as long as 100,000 records last, with no pause: the seconds are those of the calls. */
async function measure(rate: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'lastcall-bench-ring-'));
  const kept = new KeptCalls({
    directory,
    bytes: 16 * 2 ** 20,
    fdatasync: false,
    site: 'a',
    service: 'bench',
    log: pino({ level: 'silent' }),
  });
  await kept.open();
  const records = 100_000;
  const rows = Array.from({ length: records }, (_, index) => row(index));
  const before = process.cpuUsage();
  let held = kept.endTurn();
  for (let at = 0; at < records; ) {
    const second = Math.min(records, at + rate * RECORDS_A_CALL);
    // A batch of the writer: what five milliseconds bring.
    while (at < second) {
      const batch = rows.slice(at, at + Math.ceil((rate * RECORDS_A_CALL) / 200));
      const versions = batch.flatMap((one) => kept.keep(one) ?? []);
      kept.written(versions);
      at += batch.length;
      await tick();
    }
    kept.letGo(held);
    held = kept.endTurn();
  }
  const { user, system } = process.cpuUsage(before);
  await kept.close();
  rmSync(directory, { recursive: true });
  return (user + system) / records;
}

function row(index: number): LastCalls {
  const terminalId = 1 + Math.floor(Math.random() * TERMINALS);
  const at = micros(1_795_000_000_000_000 + index);
  const number = String(2_000_000 + (index % TERMINALS));
  const empty = emptyLastCalls(terminalId, terminalId);
  if (index % 2 === 0) return { ...empty, dialed: callGroup(at, { number, numberId: index }) };
  const callId = `${index}-12345@127.0.0.1`;
  const sipUri = `sip:${number}@lastcall.test`;
  return { ...empty, terminated: callGroup(at, { number, callId, userNumber: number, sipUri }) };
}
