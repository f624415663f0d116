import { createHash } from 'node:crypto';
import type { Config } from '../../shared/runtime/config-schema.ts';

/**
 * A secret that every call-control of the site has and keeps over a restart, so that dialogs, nonces and flows outlive a
 * process: derived from the database URL, whose password nobody else knows.
 */
export function siteSecret(config: Config, purpose: 'routes' | 'nonces' | 'flows'): Uint8Array {
  return createHash('sha256').update(`lastcall|${purpose}|${config.site}|${config.postgres.url}`).digest();
}
