import { setTimeout as delay } from 'node:timers/promises';
import { connectRedis } from '../../support/redis.ts';
import { untilStreaming } from './asked-lab.ts';
import type { Fault } from './fault.ts';
import { killCallControl, killPart, powerOff, runLab, untilCallControl, without } from './lab-parts.ts';
import { BEHIND, COORDINATOR_CUT_OFF, FROZEN, NOBODY_ELSE, PRIMARY, ZOMBIE } from './promotions.ts';
import { OPEN_TRANSACTION, ROLLED_BACK } from './storage-faults.ts';

/** A site's phones are without it for so long. */
const AWAY_MS = 3_000;

export const kill = (site: string, part: string): Fault => ({
  name: `kill -9 ${site}.${part}`,
  strike: async ({ lab }) => {
    if (part === 'call-control') return { forgiven: await killCallControl(lab, site) };
    await killPart(lab, site, part);
    return {};
  },
});

/** A site is away for a while; meanwhile every call goes through the other one. */
const away = (
  name: string,
  site: string,
  takeDown: (stage: Parameters<Fault['strike']>[0]) => Promise<void>,
): Fault => ({
  name,
  strike: async (stage) => {
    const { lab, endpoints, town } = stage;
    const fromMs = Date.now();
    await takeDown(stage);
    await town.rest();
    await town.begin(town.sites.filter((other) => other !== site));
    await delay(AWAY_MS);
    await runLab(lab, '--revive', site);
    await untilStreaming(endpoints, 'a');
    await town.rest();
    await town.begin();
    return { forgiven: { site, fromMs, toMs: Date.now() } };
  },
});

/** Long enough that what one process of the site records meanwhile must be known to the others. */
const TOLD_MS = 8_000;

const DATABASE_AWAY: Fault = {
  name: "b's PostgreSQL away for a while",
  strike: async ({ lab }) => {
    await without(lab, ['b.postgres'], () => delay(TOLD_MS));
    return {};
  },
};

const REDIS_EMPTIED: Fault = {
  name: "b's Redis emptied while its PostgreSQL is away",
  strike: async ({ lab, endpoints }) => {
    await without(lab, ['b.postgres'], async () => {
      await delay(AWAY_MS);
      const redis = await connectRedis(endpoints.sites['b']?.redis ?? '');
      await redis.client.flushall();
      await redis.close();
      await delay(TOLD_MS);
    });
    return {};
  },
};

const BOTH_AWAY_AND_KILLED: Fault = {
  name: "b's PostgreSQL and Redis away, kill -9 of call-control",
  deaf: true,
  strike: async ({ lab }) => {
    const fromMs = Date.now() + AWAY_MS;
    let killed = 0;
    await without(lab, ['b.postgres', 'b.redis'], async () => {
      await delay(AWAY_MS);
      killed = (await lab.endpoints()).sites['b']?.pids['call-control'] ?? 0;
      await killPart(lab, 'b', 'call-control');
      await delay(AWAY_MS);
    });
    return { forgiven: { site: 'b', fromMs, toMs: await untilCallControl(lab, 'b', killed) } };
  },
};

export const SHORT: readonly Fault[] = [PRIMARY, kill('a', 'call-control'), kill('a', 'redis')];
export const LONG: readonly Fault[] = [
  ...SHORT,
  BEHIND,
  NOBODY_ELSE,
  ZOMBIE,
  FROZEN,
  COORDINATOR_CUT_OFF,
  ROLLED_BACK,
  OPEN_TRANSACTION,
  DATABASE_AWAY,
  REDIS_EMPTIED,
  BOTH_AWAY_AND_KILLED,
  away('site b loses its power', 'b', ({ lab }) => powerOff(lab, 'b')),
  away('site b is stopped in order', 'b', ({ lab }) => runLab(lab, '--halt', 'b')),
  kill('b', 'postgres'),
  kill('a', 'replicator'),
  kill('b', 'replicator'),
  kill('a', 'coordinator'),
  kill('a', 'api'),
  kill('b', 'redis'),
  kill('b', 'call-control'),
];
