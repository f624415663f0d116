#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { configOrExit } from '../../shared/runtime/config-or-exit.ts';
import { runProcess } from '../../shared/runtime/lifecycle.ts';
import { createLogger } from '../../shared/runtime/logger.ts';
import { wireApi } from './wire.ts';

const { values } = parseArgs({ options: { config: { type: 'string' } } });
const config = configOrExit(values.config);
const log = createLogger('api', config.site, config.log);

await runProcess(wireApi(config, log, values.config).parts, log);
