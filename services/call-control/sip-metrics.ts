import type { Metrics } from '../../shared/runtime/metrics.ts';
import type { StatefulProxy } from '../../shared/sip/proxy/stateful-proxy.ts';
import type { SipServer } from '../../shared/sip/server.ts';
import type { Overload } from './overload.ts';

/** The SIP library's own numbers, read at every scrape. */
export function exposeSip(
  metrics: Metrics,
  server: SipServer,
  proxy: StatefulProxy,
  overload: Overload,
): void {
  const { counters } = server;
  metrics.gauge('sip_transactions', 'Transactions alive', ['kind'], (gauge) => {
    const { client, pending, server: alive } = server.transactions;
    gauge.set({ kind: 'server' }, alive);
    gauge.set({ kind: 'client' }, client);
    gauge.set({ kind: 'pending' }, pending);
  });
  metrics.gauge(
    'sip_dialogs',
    'Dialogs under way that this process set up, early ones included',
    [],
    (gauge) => gauge.set(proxy.dialogs),
  );
  metrics.gauge('sip_messages', 'SIP messages since the start', ['transport', 'direction'], (gauge) => {
    for (const [transport, count] of Object.entries(counters.messagesIn))
      gauge.set({ transport, direction: 'in' }, count);
    for (const [transport, count] of Object.entries(counters.messagesOut))
      gauge.set({ transport, direction: 'out' }, count);
  });
  metrics.gauge('sip_events', 'What happened to SIP messages since the start', ['event'], (gauge) => {
    gauge.set({ event: 'dropped' }, counters.dropped);
    gauge.set({ event: 'refused' }, counters.refused);
    gauge.set({ event: 'retransmission absorbed' }, counters.retransmissionsAbsorbed);
    gauge.set({ event: 'retransmission sent' }, counters.retransmissionsSent);
    gauge.set({ event: 'timeout' }, counters.timeouts);
    gauge.set({ event: 'transport error' }, counters.transportErrors);
  });
  metrics.gauge('overload_delay_seconds', 'Event-loop delay that sheds calls beyond its limit', [], (gauge) =>
    gauge.set(overload.eventLoopDelaySeconds),
  );
  metrics.gauge('overload_admitted_ratio', 'Share of new requests that are let in', ['kind'], (gauge) => {
    gauge.set({ kind: 'call' }, overload.admittance.calls);
    gauge.set({ kind: 'registration' }, overload.admittance.registrations);
  });
}
