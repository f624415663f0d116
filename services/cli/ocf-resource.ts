import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** OCF_NOT_RUNNING of the resource agent API 1.1. */
export const OCF_NOT_RUNNING = 7;

type Environment = Readonly<Record<string, string | undefined>>;

/** The resource runs no process of its own: "started" is a file where Pacemaker keeps such files until reboot. */
function stateFile(env: Environment): string {
  const folder = env['HA_RSCTMP'] ?? '/run/resource-agents';
  return join(
    folder,
    `lastcall-${(env['OCF_RESOURCE_INSTANCE'] ?? 'default').replace(/[^\w.-]/g, '_')}.state`,
  );
}

export function isResourceRunning(env: Environment): boolean {
  return existsSync(stateFile(env));
}

export function setResourceRunning(env: Environment, running: boolean): void {
  const file = stateFile(env);
  if (!running) {
    rmSync(file, { force: true });
    return;
  }
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, '');
}

export const RESOURCE_AGENT_METADATA = `<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="lastcall" version="1.0">
  <version>1.1</version>
  <longdesc lang="en">Started where the primary database is promoted, it asks Lastcall to rebuild replication.</longdesc>
  <shortdesc lang="en">Lastcall failover hook</shortdesc>
  <parameters/>
  <actions>
    <action name="start" timeout="60s"/>
    <action name="stop" timeout="20s"/>
    <action name="monitor" timeout="20s" interval="30s" depth="0"/>
    <action name="notify" timeout="60s"/>
    <action name="meta-data" timeout="5s"/>
  </actions>
</resource-agent>`;
