#!/usr/bin/env node
import { parseArgs } from 'node:util';
import type { FastifyInstance } from 'fastify';
import { AlertBoard } from '../../shared/redis/alert-board.ts';
import { RedisConnection } from '../../shared/redis/connect.ts';
import { type Config, ConfigError } from '../../shared/runtime/config.ts';
import { builtOrExit, configOrExit } from '../../shared/runtime/config-or-exit.ts';
import { type CheckResult, startHealth } from '../../shared/runtime/health.ts';
import { runProcess } from '../../shared/runtime/lifecycle.ts';
import { createLogger } from '../../shared/runtime/logger.ts';
import { Metrics } from '../../shared/runtime/metrics.ts';
import { followConfig } from '../../shared/runtime/watch-config.ts';
import { boardChannel, configuredChannels } from './alerts/channels.ts';
import { AlertDispatcher } from './alerts/dispatcher.ts';
import { journalInMemory } from './alerts/journal-in-memory.ts';
import { comparePair } from './compare-pair.ts';
import { Coordinator } from './coordinator.ts';
import { coordinatorMetrics } from './metrics.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

const MOST_ALERTS = 30;
const ALERT_WINDOW_MS = 600_000;

const { values } = parseArgs({ options: { config: { type: 'string' } } });
const config = configOrExit(values.config);
const log = createLogger('coordinator', config.site, config.log);
const metrics = new Metrics({ site: config.site });
const measured = coordinatorMetrics(metrics, () => coordinator.observations);
const redis = new RedisConnection({
  ...config.redis,
  site: config.site,
  onState: (state) => log[state.state === 'up' ? 'info' : 'warn']({ ...state }, 'redis'),
});
const alerts = new AlertDispatcher({
  site: config.site,
  redisUrl: config.redis.url,
  redis,
  channels: [
    boardChannel(new AlertBoard(redis, config.site)),
    ...configuredChannels(config.alerts, process.env),
  ],
  limits: {
    repeatMs: config.alerts.repeatMinutes * 60_000,
    most: MOST_ALERTS,
    windowMs: ALERT_WINDOW_MS,
  },
  log,
  onEvent: measured.onEvent,
});
const coordinator = new Coordinator({
  home: config.site,
  sites: builtOrExit(() => coordinatorUrls(config)),
  redis,
  redisUrl: config.redis.url,
  settings: {
    ...DEFAULT_SETTINGS,
    ...config.coordinator,
    slotLockTimeoutMs: config.replication.slotLockTimeoutMs,
  },
  allowedSkewMs: config.calls.allowedSkewMs,
  log,
  compare: comparePair,
  journalInMemory: () => journalInMemory([config.health.callControl, config.api.listen]),
  tell: (event) => alerts.tell(event),
  onBoundary: measured.onBoundary,
  onEnded: (row, end) => measured.onEnded(row.site, end),
});

let draining = false;
let health: FastifyInstance | null = null;

await runProcess(
  [
    {
      name: 'health',
      start: async () => {
        const checks = {
          postgres: { required: true, check: checkDatabase },
          redis: { required: false, check: checkRedis },
          sites: { required: false, check: checkSites },
        };
        health = await startHealth({ metrics, draining: () => draining, checks }, config.health.coordinator);
      },
      stop: async () => health?.close(),
    },
    { name: 'redis', start: () => redis.start(), stop: () => redis.close() },
    { name: 'alerts', start: () => alerts.start(), stop: () => alerts.stop() },
    {
      name: 'coordinator',
      start: () => coordinator.start(),
      stop: async () => {
        draining = true;
        await coordinator.stop();
      },
    },
    followConfig(values.config, (read) => coordinator.setSites(coordinatorUrls(read)), log),
  ],
  log,
);

function coordinatorUrls({ site, postgres, peers }: Config): Map<string, string> {
  if (postgres.coordinatorUrl === null) {
    throw new ConfigError([
      { path: 'postgres.coordinatorUrl', fault: 'missing, and the coordinator needs it' },
    ]);
  }
  const urls = new Map([[site, postgres.coordinatorUrl]]);
  for (const [peer, { coordinatorUrl }] of Object.entries(peers)) {
    if (coordinatorUrl) urls.set(peer, coordinatorUrl);
    else log.warn({ peer }, 'peer without coordinatorUrl: its failovers cannot be coordinated from here');
  }
  return urls;
}

function checkDatabase(): CheckResult {
  const { state } = coordinator.database;
  return state.state === 'up' ? { state: 'up' } : { state: 'down', reason: state.reason };
}

function checkRedis(): CheckResult {
  const { state } = redis;
  return state.state === 'up' ? { state: 'up' } : { state: 'degraded', reason: state.reason };
}

function checkSites(): CheckResult {
  const seen = coordinator.observations;
  if (!seen) return { state: 'degraded', reason: 'not looked at yet' };
  const faults = [...seen.values()].flatMap(({ site, view, formerPrimaries }) => [
    ...(view.reachable ? [] : [`${site}: ${view.reason}`]),
    ...formerPrimaries.map(({ host }) => `${site}: two-primaries: ${host} takes writes as well`),
  ]);
  return faults.length === 0 ? { state: 'up' } : { state: 'degraded', reason: faults.join(', ') };
}
