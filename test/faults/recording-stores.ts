import { chooseFreshest } from '../../shared/domain/choose-freshest.ts';
import { callGroup, emptyLastCalls } from '../../shared/domain/last-calls.ts';
import { micros } from '../../shared/domain/micros.ts';
import { Database } from '../../shared/postgres/database.ts';
import { LastCallsReader } from '../../shared/postgres/last-calls/last-calls-reader.ts';
import { LastCallsWriter } from '../../shared/postgres/last-calls/last-calls-writer.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import { openKept } from '../support/kept-calls.ts';

/** What call-control and the api do with a site's database, behind `url`. `budgetMs`: of each statement, a pause included. */
export async function openStores(url: string, budgetMs = 5_000) {
  const database = new Database({
    url,
    applicationName: 'pooled',
    maxConnections: 20,
    connectTimeoutMs: 1_000,
  });
  await database.start();
  const journal = {
    append: () => Promise.reject(new Error('nothing is to be journalled')),
    pending: async () => new Map(),
  };
  const limits = { maxDelayMs: 5, maxRows: 50, budgetMs };
  const writer = new LastCallsWriter({
    database,
    site: 'a',
    journal,
    kept: await openKept(),
    clock: systemClock,
    ...limits,
  });
  const reader = new LastCallsReader({ database, site: 'a', pending: writer, budgetMs });
  const dialled = async (terminalId: number) => {
    const { sources, marks } = await reader.read(terminalId);
    return chooseFreshest(['dialed'], sources, marks);
  };
  return { database, writer, dialled };
}

export const dial = (terminalId: number, number: string) => ({
  ...emptyLastCalls(terminalId),
  dialed: callGroup(micros(Date.now() * 1000), { number }),
});

/** Longer than any switchover takes on a busy machine. */
export const PATIENT_MS = 60_000;
