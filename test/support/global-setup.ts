import { sweepAbandonedServers } from '../../services/lab/servers/started-processes.ts';

/** Before a run: what an earlier one, killed, left behind. After it: what its workers did not stop. */
export function setup(): void {
  sweepAbandonedServers();
}

export function teardown(): void {
  sweepAbandonedServers();
}
