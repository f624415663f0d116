#!/usr/bin/env node
import { parseArgs } from 'node:util';
import type { FastifyInstance } from 'fastify';
import { isFlowing } from '../../shared/domain/direction-state.ts';
import { ConfigError } from '../../shared/runtime/config.ts';
import { builtOrExit, configOrExit } from '../../shared/runtime/config-or-exit.ts';
import { type CheckResult, startHealth } from '../../shared/runtime/health.ts';
import { runProcess } from '../../shared/runtime/lifecycle.ts';
import { createLogger } from '../../shared/runtime/logger.ts';
import { Metrics } from '../../shared/runtime/metrics.ts';
import { exposeReplication } from './metrics.ts';
import { replicatorUrls, watchPeers } from './peers-file.ts';
import { Replicator } from './replicator.ts';

const { values } = parseArgs({ options: { config: { type: 'string' } } });
const config = configOrExit(values.config);
const log = createLogger('replicator', config.site, config.log);
const ownUrl = builtOrExit(() => {
  const { replicatorUrl } = config.postgres;
  if (replicatorUrl !== null) return replicatorUrl;
  throw new ConfigError([{ path: 'postgres.replicatorUrl', fault: 'missing, and the replicator needs it' }]);
});

const replicator = new Replicator({
  site: config.site,
  ownUrl,
  peers: replicatorUrls(config),
  settings: config.replication,
  log,
});
const metrics = new Metrics({ site: config.site });
exposeReplication(metrics, replicator, config.replication.heartbeatMs);

let draining = false;
let health: FastifyInstance | null = null;
let unwatch: () => void = () => undefined;

await runProcess(
  [
    {
      name: 'health',
      start: async () => {
        health = await startHealth(
          {
            metrics,
            draining: () => draining,
            checks: {
              postgres: {
                required: true,
                check: () =>
                  replicator.isBeating ? { state: 'up' } : { state: 'down', reason: 'no heartbeat written' },
              },
              directions: { required: false, check: checkDirections },
            },
          },
          config.health.replicator,
        );
      },
      stop: async () => health?.close(),
    },
    {
      name: 'replicator',
      start: () => replicator.start(),
      stop: async () => {
        draining = true;
        await replicator.stop();
      },
    },
    {
      name: 'peers',
      start: () => {
        unwatch = watchPeers(values.config, (peers) => replicator.setPeers(peers), log);
      },
      stop: () => unwatch(),
    },
  ],
  log,
);

function checkDirections(): CheckResult {
  const broken = replicator.directions.filter(
    ({ state, reason }) => !isFlowing(state) && reason !== 'standby',
  );
  if (broken.length === 0) return { state: 'up' };
  return {
    state: 'degraded',
    reason: broken.map(({ from, state, reason }) => `${from}: ${state} ${reason}`).join(', '),
  };
}
