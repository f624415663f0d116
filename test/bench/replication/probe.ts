/**
 * From the commit at the origin to its visibility at the copy. A trigger on the copy notifies for the probe's own terminal,
 * and a notification is delivered when its transaction becomes visible: nothing polls, so nothing is slowed by being watched.
 */
import pg from 'pg';
import { execute } from './engine.ts';

const PROBE_TERMINAL = 9_000_000;
const PAUSE_MS = 10;
const LONGEST_WAIT_MS = 120_000;

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly samples: number;
}

export async function startProbe(originUrl: string, copyUrl: string): Promise<{ stop(): Promise<Latency> }> {
  await execute(copyUrl, TRIGGER);
  const [origin, copy] = [await connect(originUrl), await connect(copyUrl)];
  await copy.query('LISTEN bench_probe');
  let running = true;
  const latencies: number[] = [];
  const loop = (async () => {
    for (let n = 0; running; n++) {
      latencies.push(await once(origin, copy, `probe-${n}`));
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    await Promise.all([origin.end(), copy.end()]);
  })();
  return {
    async stop() {
      running = false;
      await loop;
      latencies.sort((x, y) => x - y);
      const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
      return { p50Ms: at(0.5), p99Ms: at(0.99), samples: latencies.length };
    },
  };
}

/** Fires for the applying worker of either engine. Made anew each time: a resynchronisation brings a fresh table. */
const TRIGGER = `
  CREATE OR REPLACE FUNCTION bench_probe() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('bench_probe', NEW.last_dialed_call); RETURN NULL; END $$;
  DROP TRIGGER IF EXISTS bench_probe ON lastcall.lastcalls_a;
  CREATE TRIGGER bench_probe AFTER INSERT OR UPDATE ON lastcall.lastcalls_a FOR EACH ROW
    WHEN (NEW.terminal_id = ${PROBE_TERMINAL}) EXECUTE FUNCTION bench_probe();
  ALTER TABLE lastcall.lastcalls_a ENABLE ALWAYS TRIGGER bench_probe;
  GRANT EXECUTE ON FUNCTION bench_probe() TO PUBLIC`;

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'bench' });
  await client.connect();
  return client;
}

async function once(origin: pg.Client, copy: pg.Client, call: string): Promise<number> {
  const seen = new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the probe never arrived')), LONGEST_WAIT_MS);
    const onNotification = ({ payload }: pg.Notification): void => {
      if (payload !== call) return;
      clearTimeout(timer);
      copy.off('notification', onNotification);
      resolve(performance.now());
    };
    copy.on('notification', onNotification);
  });
  await origin.query({
    name: 'write',
    text: `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES (${PROBE_TERMINAL}, $1, clock_timestamp())`,
    values: [call],
  });
  const committedAt = performance.now();
  return Math.max(0, (await seen) - committedAt);
}
