import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LastcallError } from '../../shared/domain/errors.ts';
import { callGroup, emptyLastCalls, type LastCalls, mergeLastCalls } from '../../shared/domain/last-calls.ts';
import { micros } from '../../shared/domain/micros.ts';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { Journal } from '../../shared/redis/journal.ts';
import { createLogger } from '../../shared/runtime/logger.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';

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

function journal(apply: (rows: readonly LastCalls[]) => Promise<void>, memoryRows = 100): Journal {
  const made = new Journal({
    redis,
    url: server.url,
    site: `s${site}`,
    memoryRows,
    appendTimeoutMs: 1_000,
    apply,
    log,
  });
  made.start();
  journals.push(made);
  return made;
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
    expect(await kept.append([dialed(1, 10, '100')])).toBe('redis');
    await kept.append([missed(1, 11, '200')]);
    const pending = (await kept.pending([1, 2])).get(1);
    expect([pending?.dialed?.number, pending?.received?.number]).toEqual(['100', '200']);
    kept.setDraining(true);
    await waitFor(async () => (await kept.pending([1])).size === 0, { what: 'the journal to drain' });
    expect([rows.get(1)?.dialed?.number, rows.get(1)?.received?.number]).toEqual(['100', '200']);
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

  it('R12 both away: kept in memory up to the bound, then refused by name; written when Redis is back', async () => {
    const { rows, apply } = table();
    const kept = journal(apply, 2);
    await server.kill();
    await waitFor(() => redis.state.state === 'down', { what: 'the loss to be noticed' });
    expect(await kept.append([dialed(1, 10, '100'), dialed(2, 10, '200')])).toBe('memory');
    await expect(kept.append([dialed(3, 10, '300')])).rejects.toMatchObject({ code: 'JOURNAL_FULL' });
    expect((await kept.pending([1])).get(1)?.dialed?.number).toBe('100');
    await server.start();
    await waitFor(() => kept.depth.memory === 0, { what: 'memory to reach Redis' });
    expect((await kept.pending([2])).get(2)?.dialed?.number).toBe('200');
    kept.setDraining(true);
    await waitFor(() => rows.size === 2, { what: 'both records in the table' });
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
});
