#!/usr/bin/env node
import { parseArgs } from 'node:util';
import type { FastifyInstance } from 'fastify';
import { loadConfig } from '../../shared/runtime/config.ts';
import { startHealth } from '../../shared/runtime/health.ts';
import { type Part, runProcess } from '../../shared/runtime/lifecycle.ts';
import { createLogger } from '../../shared/runtime/logger.ts';
import { CallControl } from './call-control.ts';

const { values } = parseArgs({ options: { config: { type: 'string' } } });
const config = loadConfig({ file: values.config });
const log = createLogger('call-control', config.site, config.log);
const callControl = new CallControl({ config, log });

let app: FastifyInstance | null = null;
const health: Part = {
  name: 'health',
  start: async () => {
    const { checks, metrics } = callControl;
    app = await startHealth(
      { checks, metrics, draining: () => callControl.draining },
      config.health.callControl,
    );
  },
  stop: () => app?.close(),
};

await runProcess([health, ...callControl.parts], log, (config.sip.drainSeconds + 20) * 1000);
