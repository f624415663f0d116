import { parseLsn } from '../../shared/domain/lsn.ts';
import { MessageRelay, type RelayedMessage } from '../support/message-relay.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { query, type SiteDatabase } from '../support/replication-pair.ts';
import { waitFor } from '../support/wait-for.ts';
import type { Database } from './worker-steps.ts';

/** What becomes of the message at which a fault strikes. */
export type Verdict = 'cut' | 'cut-after';

/** The links from one worker to its two databases, each through a relay. */
export class WorkerLinks {
  readonly toOwn: MessageRelay;
  readonly toOrigin: MessageRelay;

  private constructor(toOwn: MessageRelay, toOrigin: MessageRelay) {
    this.toOwn = toOwn;
    this.toOrigin = toOrigin;
  }

  static async open(own: PostgresServer, origin: PostgresServer): Promise<WorkerLinks> {
    return new WorkerLinks(await MessageRelay.open(own.port), await MessageRelay.open(origin.port));
  }

  /** Resolves when `isReached` says so of a message: `fault` has happened then, and from then on nothing goes through. */
  strikeWhen(
    isReached: (database: Database, message: RelayedMessage) => boolean,
    fault: () => void,
    verdict: Verdict = 'cut',
  ): Promise<void> {
    return new Promise((resolve) => {
      let struck = false;
      const ruleOf = (database: Database) => (message: RelayedMessage) => {
        if (struck) return 'cut';
        if (!isReached(database, message)) return 'pass';
        struck = true;
        fault();
        resolve();
        return verdict;
      };
      this.toOwn.rule = ruleOf('own');
      this.toOrigin.rule = ruleOf('origin');
    });
  }

  heal(): void {
    this.toOwn.rule = () => 'pass';
    this.toOrigin.rule = () => 'pass';
  }

  async close(): Promise<void> {
    await Promise.all([this.toOwn.close(), this.toOrigin.close()]);
  }
}

const AT_WORK = `SELECT FROM pg_stat_activity
  WHERE application_name ~ '^lastcall-(apply|resync|replicator)' AND datname = current_database()`;

/** Where the copy and the slot stand once no session of a worker is left on either side; 0 for no position. */
export async function standing(
  origin: SiteDatabase,
  subscriber: SiteDatabase,
): Promise<{ position: bigint; confirmed: bigint }> {
  const urls = [origin.owner, subscriber.owner];
  await waitFor(
    async () =>
      (await Promise.all(urls.map((url) => query(url, AT_WORK)))).every(({ length }) => length === 0),
    { what: "the worker's sessions to end" },
  );
  const [stored] = await query<{ lsn: string }>(
    subscriber.owner,
    'SELECT lsn::text FROM lastcall.replication_position WHERE peer = $1',
    [origin.site],
  );
  const [slot] = await query<{ lsn: string }>(
    origin.owner,
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [`lastcall_${subscriber.site}`],
  );
  return { position: parseLsn(stored?.lsn ?? '0/0'), confirmed: parseLsn(slot?.lsn ?? '0/0') };
}
