/** The steps of a replicator's work, told by the PostgreSQL messages that are about to go through. */
import type { RelayedMessage } from '../support/message-relay.ts';

/** Which of the worker's two databases a message comes from or goes to. */
export type Database = 'own' | 'origin';

export type StreamStep =
  | 'the end of the transaction arrives'
  | 'the batch reaches the own database'
  | 'the batch, executed there, is committed'
  | 'the worker hears of the commit'
  | 'the acknowledgement reaches the origin';

const [XLOG_DATA, PGOUTPUT_COMMIT, STATUS_UPDATE] = [0x77, 0x43, 0x72];

/** One transaction on its way through a worker, known by the number it wrote. */
export class FollowedTransaction {
  /** Where it ends in the origin's log, once its end was seen. */
  endLsn: bigint | null = null;
  readonly #number: string;
  #begun = false;
  #applying: object | null = null;

  constructor(number: string) {
    this.#number = number;
  }

  /** The step that `message` is about to take it to. */
  step(database: Database, { from, type, body, connection }: RelayedMessage): StreamStep | null {
    if (database === 'own') return this.#stepAtOwn(from + type, body, connection);
    if (type !== 'd') return null;
    if (from === 'server' && body[0] === XLOG_DATA) return this.#received(body);
    if (from === 'client' && body[0] === STATUS_UPDATE) {
      const flushedLsn = body.readBigUInt64BE(9);
      return this.endLsn !== null && flushedLsn >= this.endLsn
        ? 'the acknowledgement reaches the origin'
        : null;
    }
    return null;
  }

  #received(body: Buffer): StreamStep | null {
    this.#begun ||= body.includes(this.#number);
    if (!this.#begun || this.endLsn !== null || body[25] !== PGOUTPUT_COMMIT) return null;
    this.endLsn = body.readBigUInt64BE(35);
    return 'the end of the transaction arrives';
  }

  #stepAtOwn(message: string, body: Buffer, connection: object): StreamStep | null {
    if (message === 'clientB' && body.includes(this.#number)) {
      this.#applying = connection;
      return 'the batch reaches the own database';
    }
    if (connection !== this.#applying) return null;
    if (message === 'clientS') return 'the batch, executed there, is committed';
    return message === 'serverZ' ? 'the worker hears of the commit' : null;
  }
}

export type SynchronisationStep =
  | 'the worker hears of its slot'
  | 'half of the rows have come out of the origin'
  | 'half of the rows have gone into staging'
  | 'the swap reaches the own database'
  | 'the worker hears that the swap is committed'
  | 'streaming begins';

/** The step of a first synchronisation of `rows` last calls that the next message seen is about to take. */
export function followSynchronisation(
  rows: number,
): (database: Database, message: RelayedMessage) => SynchronisationStep | null {
  let [out, into] = [0, 0];
  return (database, { from, type, body, query }) => {
    switch (`${database} ${from}${type}`) {
      case 'origin serverC':
        return query.startsWith('CREATE_REPLICATION_SLOT') ? 'the worker hears of its slot' : null;
      case 'origin serverd':
        if (!query.includes('lastcalls_a) TO STDOUT')) return null;
        return ++out === rows / 2 ? 'half of the rows have come out of the origin' : null;
      case 'own clientd':
        if (!query.includes('staging_lastcalls_a')) return null;
        return ++into === rows / 2 ? 'half of the rows have gone into staging' : null;
      case 'own clientQ':
        return query.includes('swap_copies') ? 'the swap reaches the own database' : null;
      case 'own serverZ':
        // `I`: the transaction has ended; after one that failed the worker rolls back and tries again.
        return query.includes('swap_copies') && body.toString() === 'I'
          ? 'the worker hears that the swap is committed'
          : null;
      case 'origin clientQ':
        return query.startsWith('START_REPLICATION') ? 'streaming begins' : null;
      default:
        return null;
    }
  };
}
