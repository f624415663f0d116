/** From the commit at the origin to its visibility at the copy: writes one terminal, then asks the copy until it is there. */
import pg from 'pg';

const PROBE_TERMINAL = 9_000_000;
const PAUSE_MS = 15;

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly samples: number;
}

export function startProbe(originUrl: string, copyUrl: string): { stop(): Promise<Latency> } {
  let running = true;
  const latencies: number[] = [];
  const loop = (async () => {
    const [origin, copy] = [originUrl, copyUrl].map(
      (url) => new pg.Client({ connectionString: url, application_name: 'bench' }),
    );
    if (!origin || !copy) return;
    await Promise.all([origin.connect(), copy.connect()]);
    for (let n = 0; running; n++) {
      const call = `probe-${n}`;
      await origin.query({
        name: 'write',
        text: `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES (${PROBE_TERMINAL}, $1, clock_timestamp())`,
        values: [call],
      });
      const committedAt = performance.now();
      while (!(await isThere(copy, call)))
        if (performance.now() - committedAt > 120_000) throw new Error('the probe never arrived');
      latencies.push(performance.now() - committedAt);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    await Promise.all([origin.end(), copy.end()]);
  })();
  return {
    async stop() {
      running = false;
      await loop;
      latencies.sort((x, y) => x - y);
      const at = (share: number): number =>
        latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
      return { p50Ms: at(0.5), p99Ms: at(0.99), samples: latencies.length };
    },
  };
}

async function isThere(copy: pg.Client, call: string): Promise<boolean> {
  const { rowCount } = await copy.query({
    name: 'read',
    text: `SELECT FROM lastcall.lastcalls_a WHERE terminal_id = ${PROBE_TERMINAL} AND last_dialed_call = $1`,
    values: [call],
  });
  return rowCount === 1;
}
