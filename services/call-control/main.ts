#!/usr/bin/env node
import cluster from 'node:cluster';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { FastifyInstance } from 'fastify';
import { builtOrExit, configOrExit } from '../../shared/runtime/config-or-exit.ts';
import { type HealthRoutes, readiness, startHealth } from '../../shared/runtime/health.ts';
import { type Part, runProcess } from '../../shared/runtime/lifecycle.ts';
import { createLogger } from '../../shared/runtime/logger.ts';
import { followConfig } from '../../shared/runtime/watch-config.ts';
import { MOST_PROCESSES } from '../../shared/sip/transport/steering.ts';
import { CallControl } from './call-control.ts';
import { ProcessGroup } from './process-group.ts';
import { Siblings } from './siblings.ts';
import { sipListeners } from './sip-listeners.ts';

/** Beyond the calls in progress: for batches, the journal and the connections. */
const STOP_MARGIN_MS = 20_000;

const { values } = parseArgs({ options: { config: { type: 'string' } } });
const config = configOrExit(values.config);
const { processes } = config.sip;
const count = processes === 'auto' ? Math.min(MOST_PROCESSES, availableParallelism()) : Number(processes);
const siblings = cluster.isWorker ? await Siblings.join() : null;
const log = createLogger('call-control', config.site, config.log).child(
  siblings === null ? {} : { process: siblings.seat.index },
);
const parts = siblings === null && count > 1 ? partsOfGroup() : partsOfOne();
await runProcess(parts, log, config.sip.drainSeconds * 1000 + STOP_MARGIN_MS);

function partsOfOne(): Part[] {
  const callControl = builtOrExit(() => new CallControl({ config, log, siblings }));
  const peers = followConfig(values.config, (read) => callControl.setPeers(read.peers), log);
  if (siblings === null) return [healthOf(callControl), ...callControl.parts, peers];
  siblings.onAsked = async () => ({
    readiness: await readiness({
      ...callControl,
      checks: callControl.checks,
      draining: () => callControl.draining,
    }),
    metrics: await callControl.metrics.registry.getMetricsAsJSON(),
  });
  return [...callControl.parts, peers, { name: 'siblings', start: () => siblings.serving() }];
}

/** The first process of several: it speaks for the others and handles no message. */
function partsOfGroup(): Part[] {
  builtOrExit(() => sipListeners(config));
  const group = new ProcessGroup(count, log);
  return [healthOf(group), group];
}

function healthOf(who: Pick<HealthRoutes, 'checks' | 'metrics'> & { readonly draining: boolean }): Part {
  let app: FastifyInstance | null = null;
  return {
    name: 'health',
    start: async () => {
      const { checks, metrics } = who;
      app = await startHealth({ checks, metrics, draining: () => who.draining }, config.health.callControl);
    },
    stop: () => app?.close(),
  };
}
