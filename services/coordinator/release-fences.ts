import { connectToPrimary } from '../../shared/postgres/replication/primary.ts';

/** Lifts what a failover holds, wherever it can be reached. Never rejects: what stays held is found by the watch. */
export async function releaseFences(sites: ReadonlyMap<string, string>, failover: string): Promise<void> {
  await Promise.allSettled(
    [...sites.values()].map(async (url) => {
      const connection = await connectToPrimary(url, { applicationName: 'lastcall-coordinator' });
      try {
        await connection.query(
          'UPDATE lastcall.replication_control SET fenced_by = NULL WHERE fenced_by = $1',
          [failover],
        );
      } finally {
        await connection.close();
      }
    }),
  );
}
