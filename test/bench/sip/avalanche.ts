/** `npm run bench -- avalanche [--phones 100000] [--within 10] [--calls 100] [--processes N]`: power is back, all phones register. */
import { parseArgs } from 'node:util';
import { freePort } from '../../../shared/servers/free-port.ts';
import { startPostgres } from '../../support/postgres.ts';
import { waitFor } from '../../support/wait-for.ts';
import { writeResult } from '../write-result.ts';
import { startLastcall } from './lastcall-contender.ts';
import { runLoad, startAnswerer } from './load.ts';
import { Phones } from './phones.ts';
import { Callers } from './town.ts';

const DEADLINE_MS = 240_000;
/** Calls go on meanwhile; a share of the phones must be registered when the load begins to count. */
const CALL_SECONDS = 15;

export async function bench(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      phones: { type: 'string', default: '100000' },
      within: { type: 'string', default: '10' },
      calls: { type: 'string', default: '100' },
      processes: { type: 'string', default: '1' },
    },
  });
  const count = Number(values.phones);
  const postgres = await startPostgres({ settings: { fsync: 'on', shared_buffers: '1GB' } });
  const answererPort = await freePort();
  const answerer = startAnswerer(answererPort);
  const processes = Number(values.processes);
  const contender = await startLastcall({ postgres, terminals: count, answererPort, processes });
  const callers = new Callers(count);
  const load = { dialed: '*52' as const, rate: Number(values.calls), seconds: CALL_SECONDS };
  try {
    await runLoad(contender, callers, { ...load, seconds: 5 });
    const before = { megabytes: contender.residentMegabytes(), cpu: contender.used() };
    const phones = new Phones(contender.target, count, Number(values.within) * 1000);
    const startedAt = performance.now();
    await phones.start();
    const calls = await runLoad(contender, callers, load);
    await waitFor(() => phones.counts.registered >= count, {
      what: `${count} registrations`,
      deadlineMs: DEADLINE_MS,
      everyMs: 50,
    }).catch((error: Error) => console.log(error.message));
    const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
    phones.stop();
    const perPhone = (part: 'server' | 'redis') =>
      Math.round((contender.used()[part] - before.cpu[part]) / 1000 / count);
    const figures = {
      phones: count,
      withinSeconds: Number(values.within),
      processes,
      seconds,
      ...phones.counts,
      serverCpuUsAPhone: perPhone('server'),
      redisCpuUsAPhone: perPhone('redis'),
      kilobytesAPhone:
        Math.round(((contender.residentMegabytes() - before.megabytes) * 1024 * 10) / count) / 10,
      callsMeanwhile: {
        perSecond: load.rate,
        failed: calls.failed,
        retransmissions: calls.retransmissions,
        postDialP50Ms: calls.postDialP50Ms,
        postDialP99Ms: calls.postDialP99Ms,
      },
    };
    console.log(figures);
    await writeResult('avalanche', figures);
  } finally {
    await contender.stop();
    await answerer.kill();
    await postgres.remove();
  }
}
