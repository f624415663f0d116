/** `npm run soak -- [--minutes 30] [--rate 500] [--phones 5000] [--processes N]`: calls and churning registrations; what grows? */
import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { freePort } from '../../../shared/servers/free-port.ts';
import { startPostgres } from '../../support/postgres.ts';
import { writeResult } from '../write-result.ts';
import { startLastcall } from './lastcall-contender.ts';
import { runLoad, startAnswerer } from './load.ts';
import { Phones } from './phones.ts';
import { Callers } from './town.ts';

const TERMINALS = 100_000;
/** One line a round. */
const ROUND_SECONDS = 30;
/** Each phone registers again in every round. */
const METRICS = {
  heapMb: 'lastcall_nodejs_heap_size_used_bytes',
  externalMb: 'lastcall_nodejs_external_memory_bytes',
  transactions: 'lastcall_sip_transactions',
  dialogs: 'lastcall_sip_dialogs',
  registered: 'lastcall_registered_terminals',
  ringTerminals: 'lastcall_ring_terminals',
} as const;

export async function bench(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '30' },
      rate: { type: 'string', default: '500' },
      phones: { type: 'string', default: '5000' },
      processes: { type: 'string', default: '1' },
    },
  });
  const postgres = await startPostgres({ settings: { fsync: 'on', shared_buffers: '1GB' } });
  const answererPort = await freePort();
  const answerer = startAnswerer(answererPort);
  const processes = Number(values.processes);
  const contender = await startLastcall({ postgres, terminals: TERMINALS, answererPort, processes });
  const callers = new Callers(TERMINALS);
  const phones = new Phones(contender.target, Number(values.phones), ROUND_SECONDS * 1000);
  const rounds: object[] = [];
  try {
    await phones.start();
    const load = { dialed: '*52' as const, rate: Number(values.rate), seconds: ROUND_SECONDS };
    for (let round = 1; round <= (Number(values.minutes) * 60) / ROUND_SECONDS; round++) {
      const { failed, postDialP50Ms, postDialP99Ms, serverCpuUs, residentMegabytes, retransmissions } =
        await runLoad(contender, callers, load);
      const state = {
        minute: (round * ROUND_SECONDS) / 60,
        p50Ms: rounded(postDialP50Ms),
        p99Ms: rounded(postDialP99Ms),
        failed,
        retransmissions,
        cpuUs: Math.round(serverCpuUs),
        rssMb: Math.round(residentMegabytes),
        ...(await gauges(contender.health)),
        files: readdirSync(`/proc/${contender.pid}/fd`).length,
        redisKeys: await contender.redisKeys(),
      };
      rounds.push(state);
      console.log(JSON.stringify(state));
      phones.again(ROUND_SECONDS * 1000);
    }
    await writeResult('soak', { rate: load.rate, phones: Number(values.phones), processes, rounds });
  } finally {
    phones.stop();
    await contender.stop();
    await answerer.kill();
    await postgres.remove();
  }
}

/** Sums over a metric's labels; bytes in megabytes. */
async function gauges(health: string): Promise<Record<string, number>> {
  const text = await (await fetch(`http://${health}/metrics`)).text();
  const entries = Object.entries(METRICS).map(([name, metric]) => {
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `));
    const sum = lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0);
    return [name, metric.endsWith('_bytes') ? rounded(sum / 1e6) : sum] as const;
  });
  return Object.fromEntries(entries);
}

const rounded = (value: number): number => Math.round(value * 10) / 10;
