#!/usr/bin/env node
import { parseArgs } from 'node:util';
import type { FastifyInstance } from 'fastify';
import { builtOrExit, configOrExit } from '../../shared/runtime/config-or-exit.ts';
import { startHealth } from '../../shared/runtime/health.ts';
import { type Part, runProcess } from '../../shared/runtime/lifecycle.ts';
import { createLogger } from '../../shared/runtime/logger.ts';
import { followConfig } from '../../shared/runtime/watch-config.ts';
import { CallControl } from './call-control.ts';

/** Beyond the calls in progress: for batches, the journal and the connections. */
const STOP_MARGIN_MS = 20_000;

const { values } = parseArgs({ options: { config: { type: 'string' } } });
const config = configOrExit(values.config);
const log = createLogger('call-control', config.site, config.log);
const callControl = builtOrExit(() => new CallControl({ config, log }));

let app: FastifyInstance | null = null;
const health: Part = {
  name: 'health',
  start: async () => {
    const { checks, metrics } = callControl;
    const draining = () => callControl.draining;
    app = await startHealth({ checks, metrics, draining }, config.health.callControl);
  },
  stop: () => app?.close(),
};

const peers = followConfig(values.config, (read) => callControl.setPeers(read.peers), log);
await runProcess([health, ...callControl.parts, peers], log, config.sip.drainSeconds * 1000 + STOP_MARGIN_MS);
