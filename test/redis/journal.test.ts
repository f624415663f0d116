import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LastcallError } from '../../shared/domain/errors.ts';
import { callGroup, emptyLastCalls, type LastCalls, mergeLastCalls } from '../../shared/domain/last-calls.ts';
import { micros } from '../../shared/domain/micros.ts';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { Journal } from '../../shared/redis/journal.ts';
import { JournalState } from '../../shared/redis/journal-state.ts';
import { createLogger } from '../../shared/runtime/logger.ts';
import { elapsedMs } from '../support/elapsed.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';

const CHILD = fileURLToPath(new URL('./journalling-process.mjs', import.meta.url));
const log = createLogger('test', 'a', { level: 'silent', pretty: false, fullNumbers: false });
let server: RedisServer;
let redis: RedisConnection;
let site = 0;
let journals: Journal[] = [];

beforeAll(async () => {
  server = await startRedis();
  redis = await connectRedis(server.url);
});
afterAll(async () => {
  await redis.close();
  await server.remove();
});
beforeEach(() => {
  site++;
});
afterEach(async () => {
  await Promise.all(journals.map((journal) => journal.close()));
  journals = [];
});

/** The table that the journal drains into: newer-wins per group, as the real statement. */
function table() {
  const rows = new Map<number, LastCalls>();
  const apply = async (records: readonly LastCalls[]) => {
    for (const row of records) rows.set(row.terminalId, mergeLastCalls(rows.get(row.terminalId) ?? row, row));
  };
  return { rows, apply };
}

/** `unwritten`: what the process keeps in its ring and the table lacks. */
function journal(
  apply: (rows: readonly LastCalls[]) => Promise<void>,
  unwritten: readonly LastCalls[] = [],
): Journal {
  const made = new Journal({
    redis,
    url: server.url,
    site: `s${site}`,
    unwritten: () => unwritten,
    appendTimeoutMs: 1_000,
    apply,
    log,
  });
  made.start();
  journals.push(made);
  return made;
}

/** How often Redis was asked for fields of a hash meanwhile. */
async function hashReads(work: () => Promise<unknown>): Promise<number> {
  const calls = async () =>
    Number(/cmdstat_hmget:calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1] ?? 0);
  const before = await calls();
  await work();
  return (await calls()) - before;
}

const dialed = (terminalId: number, at: number, number: string): LastCalls => ({
  ...emptyLastCalls(terminalId),
  dialed: callGroup(micros(at), { number }),
});
const missed = (terminalId: number, at: number, number: string): LastCalls => ({
  ...emptyLastCalls(terminalId),
  received: callGroup(micros(at), { number }),
});

describe('R12 the journal', () => {
  it('C8 a journalled record is a source until it is drained, then gone from the hash', async () => {
    const { rows, apply } = table();
    const kept = journal(apply);
    expect(await kept.append([dialed(1, 10, '100')])).toBe(true);
    await kept.append([missed(1, 11, '200')]);
    const pending = (await kept.pending([1, 2])).get(1);
    expect([pending?.dialed?.number, pending?.received?.number]).toEqual(['100', '200']);
    kept.setDraining(true);
    await waitFor(async () => (await kept.pending([1])).size === 0, { what: 'the journal to drain' });
    expect([rows.get(1)?.dialed?.number, rows.get(1)?.received?.number]).toEqual(['100', '200']);
  });

  it('C8 while nothing is journalled no lookup asks Redis, and what another process journals is seen', async () => {
    const { apply } = table();
    const kept = journal(apply);
    await waitFor(async () => (await hashReads(() => kept.pending([1]))) === 0, {
      what: 'a lookup that asks nobody',
    });
    await journal(apply).append([dialed(1, 10, '100')]);
    await waitFor(async () => (await kept.pending([1])).get(1)?.dialed?.number === '100', {
      what: 'the record of another process',
    });
    expect(await hashReads(() => kept.pending([1]))).toBe(1);
  });

  it('R12 what one process journalled another drains', async () => {
    const { rows, apply } = table();
    await journal(apply).append([dialed(1, 10, '100'), dialed(2, 10, '200')]);
    journal(apply).setDraining(true);
    await waitFor(() => rows.size === 2, { what: 'both records' });
  });

  it('S2 an older record drained late changes nothing newer', async () => {
    const { rows, apply } = table();
    const kept = journal(apply);
    await kept.append([dialed(1, 20, 'new')]);
    await kept.append([dialed(1, 10, 'old')]);
    expect((await kept.pending([1])).get(1)?.dialed?.number).toBe('new');
    kept.setDraining(true);
    await waitFor(async () => (await kept.pending([1])).size === 0, { what: 'the journal to drain' });
    expect(rows.get(1)?.dialed?.number).toBe('new');
  });

  it('R12 a database that fails again keeps the record for the next attempt', async () => {
    const { rows, apply } = table();
    let failures = 2;
    const kept = journal(async (records) => {
      if (failures-- > 0) throw new LastcallError('DATABASE_UNREACHABLE');
      await apply(records);
    });
    await kept.append([dialed(1, 10, '100')]);
    kept.setDraining(true);
    await waitFor(() => rows.has(1), { what: 'the third attempt' });
  });

  it('R12 many processes at once lose no group of a terminal', async () => {
    const { rows, apply } = table();
    const writers = Array.from({ length: 5 }, () => journal(apply));
    await Promise.all(
      writers.flatMap((writer, index) => [
        writer.append([dialed(7, 100 + index, `d${index}`)]),
        writer.append([missed(7, 100 + index, `m${index}`)]),
      ]),
    );
    const pending = (await writers[0]?.pending([7]))?.get(7);
    expect([pending?.dialed?.number, pending?.received?.number]).toEqual(['d4', 'm4']);
    writers[0]?.setDraining(true);
    await waitFor(() => rows.get(7)?.dialed?.number === 'd4' && rows.get(7)?.received?.number === 'm4', {
      what: 'the drained row',
    });
  });

  it('R12 both away: the site hears of what this process keeps when Redis is back', async () => {
    const { rows, apply } = table();
    const ringed = [dialed(1, 10, '100'), dialed(2, 10, '200')];
    const kept = journal(apply, ringed);
    await server.kill();
    await waitFor(() => redis.state.state === 'down', { what: 'the loss to be noticed' });
    expect(await kept.append(ringed)).toBe(false);
    await server.start();
    await waitFor(async () => (await kept.pending([2]).catch(() => new Map())).has(2), {
      what: 'the ring to reach Redis',
    });
    kept.setDraining(true);
    await waitFor(() => rows.size === 2, { what: 'both records in the table' });
  });

  it('R12 FLUSHALL while PostgreSQL is away: noticed within seconds, and what this process keeps is there again', async () => {
    const { rows, apply } = table();
    const ringed = [dialed(1, 10, '100')];
    const kept = journal(apply, ringed);
    await kept.append(ringed);
    const content = redis.content(`s${site}`);
    await waitFor(async () => (await redis.client.exists(content.key)) === 1, { what: 'the mark' });
    await redis.client.flushall();
    await waitFor(async () => (await kept.pending([1])).get(1)?.dialed?.number === '100', {
      what: 'the record in Redis again',
      deadlineMs: 15_000,
    });
    kept.setDraining(true);
    await waitFor(() => rows.has(1), { what: 'the record in the table' });
  });

  it('C7 Redis away while it may hold records is unreadable, not empty', async () => {
    const kept = journal(async () => {
      throw new LastcallError('DATABASE_UNREACHABLE');
    });
    await kept.append([dialed(1, 10, '100')]);
    await server.kill();
    await waitFor(() => redis.state.state === 'down', { what: 'the loss to be noticed' });
    await expect(kept.pending([1])).rejects.toMatchObject({ code: 'REDIS_UNREACHABLE' });
    await server.start();
    await waitFor(async () => (await kept.pending([1])).get(1)?.dialed?.number === '100', {
      what: 'the record, kept over kill -9 of Redis',
    });
  });

  it('R12 one record that the database can never take holds up no other, and is out of the way', async () => {
    const { rows, apply } = table();
    const kept = journal(async (records) => {
      if (records.some((row) => row.dialed?.number === 'bad')) throw new LastcallError('INVALID_VALUE');
      await apply(records);
    });
    await kept.append([dialed(1, 10, '100'), dialed(2, 10, 'bad'), dialed(3, 10, '300')]);
    await kept.append([dialed(4, 11, '400')]);
    kept.setDraining(true);
    await waitFor(async () => (await kept.pending([1, 2, 3, 4])).size === 0, {
      what: 'the journal to drain',
    });
    expect([...rows.keys()].sort()).toEqual([1, 3, 4]);
  });

  it('R12 an error of the server, not of the record, is tried again until it works', async () => {
    const { rows, apply } = table();
    const errors = ['INTERNAL', 'DATABASE_PERMISSION_DENIED', 'DATABASE_BUSY'] as const;
    const left = [...errors];
    const kept = journal(async (records) => {
      const code = left.shift();
      if (code) throw new LastcallError(code);
      await apply(records);
    });
    await kept.append([dialed(1, 10, '100')]);
    kept.setDraining(true);
    await waitFor(() => rows.has(1), { what: 'the fourth attempt' });
  });

  it('C8 a record just drained is still a source for a lookup that read the table before', async () => {
    const { rows, apply } = table();
    const kept = journal(apply);
    await kept.append([dialed(1, 10, '100')]);
    kept.setDraining(true);
    await waitFor(() => rows.has(1), { what: 'the row in the table', everyMs: 1 });
    expect((await kept.pending([1])).get(1)?.dialed?.number).toBe('100');
  });

  it('R12 state whose process died before its job was queued is drained all the same', async () => {
    const { rows, apply } = table();
    await new JournalState(redis, `s${site}`).add([dialed(1, 10, '100')]);
    const kept = journal(apply);
    kept.setDraining(true);
    await waitFor(async () => rows.has(1) && (await kept.pending([1])).size === 0, { what: 'the sweep' });
  });

  it('says how many terminals wait and for how long', async () => {
    const { apply } = table();
    const kept = journal(apply);
    await kept.append([dialed(1, 10, '100'), dialed(2, 10, '200')]);
    await waitFor(() => kept.depth.redis === 2 && kept.depth.oldestAgeMs > 500, { what: 'the age to grow' });
    kept.setDraining(true);
    await waitFor(() => kept.depth.redis === 0 && kept.depth.oldestAgeMs === 0, { what: 'nothing waiting' });
  });

  it('R12 what a process journalled before kill -9 is drained by the next one', async () => {
    const name = `s${site}`;
    const child = spawn(process.execPath, [CHILD, server.url, name], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const acknowledged: number[] = [];
    let killed = false;
    createInterface({ input: child.stdout }).on('line', (line) => acknowledged.push(Number(line)));
    child.on('exit', () => {
      killed = true;
    });
    await waitFor(() => acknowledged.length >= 50, { what: 'acknowledged records' });
    child.kill('SIGKILL');
    await waitFor(() => killed, { what: 'the end of the process' });
    const { rows, apply } = table();
    journal(apply).setDraining(true);
    await waitFor(() => acknowledged.every((id) => rows.has(id)), { what: 'every acknowledged record' });
  });
});

describe('R12 Redis gone too', () => {
  it('started without Redis: in Redis once it is there, drained in the end', async () => {
    const { rows, apply } = table();
    await server.stop();
    await waitFor(() => redis.state.state === 'down', { what: 'the loss to be noticed' });
    const ringed = [dialed(1, 10, '100')];
    const kept = journal(apply, ringed);
    expect(await kept.append(ringed)).toBe(false);
    await expect(kept.pending([1]), 'C7 an earlier process may have left something').rejects.toMatchObject({
      code: 'REDIS_UNREACHABLE',
    });
    await server.start();
    await waitFor(() => kept.depth.redis === 1, { what: 'the ring to reach Redis' });
    kept.setDraining(true);
    await waitFor(() => rows.has(1), { what: 'the row in the table' });
  });

  it('a drain that began without Redis works when it is there', async () => {
    const { rows, apply } = table();
    await journal(apply).append([dialed(1, 10, '100')]);
    await server.stop();
    await waitFor(() => redis.state.state === 'down', { what: 'the loss to be noticed' });
    const kept = journal(apply);
    kept.setDraining(true);
    await server.start();
    await waitFor(() => rows.has(1), { what: 'the row in the table' });
  });

  it('stopping does not wait for a Redis that is away', async () => {
    const { apply } = table();
    const kept = journal(apply);
    kept.setDraining(true);
    await kept.append([dialed(1, 10, '100')]);
    await server.kill();
    await waitFor(() => redis.state.state === 'down', { what: 'the loss to be noticed' });
    expect(await elapsedMs(() => kept.close())).toBeLessThan(2_000);
    await server.start();
    await waitFor(() => redis.state.state === 'up', { what: 'Redis again' });
  });

  it('nor for one that is just coming back, whatever each connection is about', async () => {
    const { apply } = table();
    const kept = Array.from({ length: 12 }, () => journal(apply));
    for (const each of kept) each.setDraining(true);
    await kept[0]?.append([dialed(1, 10, '100')]);
    await server.stop();
    await waitFor(() => redis.state.state === 'down', { what: 'the loss to be noticed' });
    await server.start();
    await waitFor(() => redis.state.state === 'up', { what: 'Redis again' });
    expect(await elapsedMs(() => Promise.all(kept.map((each) => each.close())))).toBeLessThan(8_000);
  });
});
