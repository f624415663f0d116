import type { Sound } from './phone-state.ts';

const EVERY_MS = 1_000;

/** Measures a peer connection every second until the function it returns is called. */
export function measureSound(connection: RTCPeerConnection, onSound: (sound: Sound) => void): () => void {
  let before = { received: 0, sent: 0 };
  const timer = setInterval(async () => {
    const now = await readCounters(connection);
    onSound({
      receivedPerSecond: now.received - before.received,
      sentPerSecond: now.sent - before.sent,
      level: now.level,
    });
    before = now;
  }, EVERY_MS);
  return () => clearInterval(timer);
}

async function readCounters(connection: RTCPeerConnection) {
  const counters = { received: 0, sent: 0, level: 0 };
  const stats: RTCStatsReport = await connection.getStats();
  stats.forEach((each: RTCStats) => {
    if (each.type === 'inbound-rtp') {
      const { audioLevel = 0, packetsReceived = 0 } = each as RTCInboundRtpStreamStats;
      counters.received = packetsReceived;
      counters.level = audioLevel;
    }
    if (each.type === 'outbound-rtp') counters.sent = (each as RTCOutboundRtpStreamStats).packetsSent ?? 0;
  });
  return counters;
}
