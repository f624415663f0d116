import { build, buildConsole } from '../../services/lab/bootstrap/build.mjs';
import { sweepAbandonedServers } from '../../shared/servers/started-processes.ts';

/** Before a run: what an earlier one, killed, left behind is swept, and dist/ holds what the sources say. */
export async function setup(): Promise<void> {
  sweepAbandonedServers();
  // `npm test` counts sources that do not compile as a failure of their own; tests of other parts still tell something.
  await build('tsconfig.build.json', ['services', 'shared']).catch(console.error);
  await buildConsole().catch(console.error);
}

/** After it: what its workers did not stop. */
export function teardown(): void {
  sweepAbandonedServers();
}
