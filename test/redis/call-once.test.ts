import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LastcallError } from '../../shared/domain/errors.ts';
import { type Micros, micros } from '../../shared/domain/micros.ts';
import { CallOnce } from '../../shared/redis/call-once.ts';
import type { RedisConnection } from '../../shared/redis/connect.ts';
import { connectRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';

let server: RedisServer;
let redis: RedisConnection;

beforeAll(async () => {
  server = await startRedis();
  redis = await connectRedis(server.url);
});
afterAll(async () => {
  await redis.close();
  await server.remove();
});

/** A process of its own, as far as memory goes. */
const process = (at = 1_000) => new CallOnce({ redis, site: 'a', clock: () => micros(at) });
const answering = (answer: string) => {
  const dates: (Micros | null)[] = [];
  const work = async (earlierAt: Micros | null) => {
    dates.push(earlierAt);
    return answer;
  };
  return { dates, work };
};

describe('the same callId and event twice is one record', () => {
  it('R3 at once in one process, and later in another: the first answer for all', async () => {
    const first = answering('first');
    const second = answering('second');
    const once = process();
    const answers = await Promise.all([
      once.run('twice', 'dialed', first.work),
      once.run('twice', 'dialed', second.work),
    ]);
    expect([...answers, await process().run('twice', 'dialed', second.work)]).toEqual([
      'first',
      'first',
      'first',
    ]);
    expect([first.dates.length, second.dates.length]).toEqual([1, 0]);
  });

  it('another event of the same call is another record', async () => {
    const once = process();
    await once.run('events', 'dialed', answering('dialed').work);
    expect(await once.run('events', 'missed', answering('missed').work)).toBe('missed');
  });

  it('a crash between claim and record loses nothing: the next attempt records it with the first date', async () => {
    void process(5_000).run('crash', 'dialed', () => new Promise(() => {}));
    await waitFor(async () => (await redis.client.get('lastcall:{a}:call:dialed:crash')) !== null, {
      what: 'the claim',
    });
    const repeated = answering('recorded');
    expect(await process(9_000).run('crash', 'dialed', repeated.work)).toBe('recorded');
    expect(repeated.dates).toEqual([5_000]);
    const third = answering('third');
    expect(await process().run('crash', 'dialed', third.work)).toBe('recorded');
  });

  it('a report refused for good may be sent again corrected, as a new one', async () => {
    const once = process();
    const refused = once.run('refused', 'dialed', async () => {
      throw new LastcallError('TERMINAL_NOT_FOUND');
    });
    await expect(refused).rejects.toMatchObject({ code: 'TERMINAL_NOT_FOUND' });
    const corrected = answering('recorded');
    expect(await once.run('refused', 'dialed', corrected.work)).toBe('recorded');
    expect(corrected.dates).toEqual([null]);
  });

  it('Redis gone: one process still counts it once', async () => {
    const once = process();
    await server.kill();
    await waitFor(() => redis.state.state === 'down', { what: 'the loss to be noticed' });
    const work = answering('recorded');
    expect(await once.run('away', 'dialed', work.work)).toBe('recorded');
    expect(await once.run('away', 'dialed', work.work)).toBe('recorded');
    expect(work.dates.length).toBe(1);
    await server.start();
    await waitFor(() => redis.state.state === 'up', { what: 'Redis again' });
  });
});
