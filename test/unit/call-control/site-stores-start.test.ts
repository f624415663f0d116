import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import pino from 'pino';
import { expect, test } from 'vitest';
import { CallMetrics } from '../../../services/call-control/call-metrics.ts';
import { SiteStores } from '../../../services/call-control/site-stores.ts';
import { parseConfig } from '../../../shared/runtime/config.ts';
import { Metrics } from '../../../shared/runtime/metrics.ts';
import { freePort } from '../../../shared/servers/free-port.ts';
import { ringDirectory } from '../../support/kept-calls.ts';
import { waitFor } from '../../support/wait-for.ts';

test("C6 with PostgreSQL away at the start, a process is ready only once a peer's that stands in for it was tried as well", async () => {
  const asked: Socket[] = [];
  const peer = createServer((socket) => asked.push(socket)).listen(0, '127.0.0.1');
  await once(peer, 'listening');
  const nobody = await freePort();
  const yaml = `
site: a
domain: lastcall.test
postgres: { url: 'postgres://x:y@127.0.0.1:${nobody}/x', connectTimeoutMs: 60000 }
redis: { url: 'redis://127.0.0.1:${nobody}' }
journal: { ringDirectory: '${ringDirectory()}' }
peers: { b: { replicatorUrl: 'postgres://x:y@127.0.0.1:${(peer.address() as AddressInfo).port}/x' } }`;
  const metrics = new Metrics({ site: 'a' });
  const stores = new SiteStores({
    config: parseConfig(yaml, {}),
    log: pino({ level: 'silent' }),
    metrics,
    callMetrics: new CallMetrics(metrics),
  });
  try {
    const ownReason = () => 'reason' in stores.database.state && stores.database.state.reason;
    const before = ownReason();
    await stores.start();
    await waitFor(() => ownReason() !== before && asked.length > 0, { what: 'both to be tried' });
    expect(stores.databaseTried).toBe(false);
    for (const socket of asked) socket.destroy();
    await waitFor(() => stores.databaseTried, { what: "the peer's answer to count" });
  } finally {
    for (const socket of asked) socket.destroy();
    peer.close();
    await stores.stop();
  }
});
