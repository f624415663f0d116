/** Faults of what site b's server keeps. */
import { execFile } from 'node:child_process';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { withClient } from '../../support/postgres.ts';
import { query } from '../../support/replication-pair.ts';
import { failovers, untilFailedOver } from './asked-lab.ts';
import type { Fault, Stage } from './fault.ts';
import { databaseUrl, without } from './lab-parts.ts';

const run = promisify(execFile);
/** A tenth more than the lab's budget for a slot. */
const OVER_BUDGET_MB = 560;
/** The slots are looked at several times in it. */
const STANDING_MS = 8_000;

const dataOf = ({ lab }: Stage): string => join(lab.dataDir, 'b', 'postgres-system');
const snapshotOf = (stage: Stage): string => `${dataOf(stage)}-snapshot`;

export const ROLLED_BACK: Fault = {
  name: "b's disk put back to a snapshot",
  prepare: (stage) =>
    without(stage.lab, ['b.postgres'], () => run('cp', ['-a', dataOf(stage), snapshotOf(stage)])),
  strike: async (stage) => {
    const known = new Set((await failovers(stage.endpoints)).map(({ id }) => id));
    await without(stage.lab, ['b.postgres'], async () => {
      await rm(dataOf(stage), { recursive: true });
      await rename(snapshotOf(stage), dataOf(stage));
    });
    return { failedOver: await untilFailedOver(stage.endpoints, known) };
  },
};

/** It holds every slot's restart_lsn, but no slot is behind: none may be given up. */
export const OPEN_TRANSACTION: Fault = {
  name: 'a transaction at b open for longer than a slot may wait',
  strike: async ({ endpoints }) => {
    const url = databaseUrl(endpoints, 'b');
    const before = await generations(url);
    await withClient(url, async (client) => {
      await client.query('BEGIN; SELECT pg_current_xact_id()');
      for (let mb = 0; mb < OVER_BUDGET_MB; mb += 10)
        await query(
          url,
          `SELECT count(pg_logical_emit_message(false, 'chaos', repeat('x', 1000000))) FROM generate_series(1, 10)`,
        );
      await delay(STANDING_MS);
      await client.query('ROLLBACK');
    });
    const after = await generations(url);
    return { faults: before === after ? [] : [`slots were made anew: ${before}, then ${after}`] };
  },
};

/** Of the slots at this server, as their readers know them. */
const generations = async (url: string): Promise<string> =>
  JSON.stringify(
    await query(url, `SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical' ORDER BY 1`),
  );
