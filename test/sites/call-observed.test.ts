import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CallSites } from '../support/sip-phone-sites.ts';
import { waitFor } from '../support/wait-for.ts';

let sites: CallSites;
beforeAll(async () => {
  sites = await CallSites.start([
    { terminalId: 1, number: '1001' },
    { terminalId: 2, number: '1002' },
  ]);
});
afterAll(() => sites?.stop());
const PEERS = { b: {} };

/** The chunks of a HEP version 3 packet by their type. */
function chunksOf(packet: Buffer): Map<number, Buffer> {
  expect(packet.subarray(0, 4).toString()).toBe('HEP3');
  expect(packet.readUInt16BE(4)).toBe(packet.byteLength);
  const chunks = new Map<number, Buffer>();
  for (let at = 6; at < packet.byteLength; ) {
    const length = packet.readUInt16BE(at + 4);
    expect(packet.readUInt16BE(at)).toBe(0);
    chunks.set(packet.readUInt16BE(at + 2), packet.subarray(at + 6, at + length));
    at += length;
  }
  return chunks;
}

test.each(['udp', 'tcp'] as const)(
  'a capture server gets every message of a call as HEP version 3, both ways: %s',
  async (transport) => {
    const capture = createSocket('udp4');
    const packets: Map<number, Buffer>[] = [];
    capture.on('message', (packet) => void packets.push(chunksOf(packet)));
    capture.bind(0, '127.0.0.1');
    await once(capture, 'listening');
    const a = await sites.run('a', {
      hep: { server: `127.0.0.1:${capture.address().port}`, agentId: 4711, password: 'key-of-homer' },
      peers: PEERS,
    });
    const server = transport === 'udp' ? a.udp : a.tcp;
    const [alice, bob] = [
      await sites.registered({ udp: server }, '1001'),
      await sites.registered({ udp: server }, '1002'),
    ];
    bob.behaviour = { status: 486 };
    const call = alice.invite('1002');
    expect((await call.final()).status).toBe(486);
    const text = (packet: Map<number, Buffer>) => packet.get(15)?.toString('latin1') ?? '';
    const ofCall = () =>
      packets.filter(
        (packet) => /^(INVITE|SIP\/2\.0 486)/.test(text(packet)) && /CSeq: \d+ INVITE/i.test(text(packet)),
      );
    // INVITE, INVITE with credentials, INVITE to the callee; 486 from it, 486 to the caller.
    await waitFor(() => ofCall().length >= 5, { what: 'the INVITEs and the answers' });
    const port = Number(/:(\d+)/.exec(a.udp.replace('sip:', ''))?.[1]);
    for (const packet of ofCall()) {
      expect(packet.get(1)?.[0]).toBe(2);
      expect(packet.get(2)?.[0]).toBe(transport === 'udp' ? 17 : 6);
      expect([packet.get(3)?.join('.'), packet.get(4)?.join('.')]).toEqual(['127.0.0.1', '127.0.0.1']);
      expect([packet.get(7)?.readUInt16BE(), packet.get(8)?.readUInt16BE()]).toContain(port);
      expect(Math.abs((packet.get(9)?.readUInt32BE() ?? 0) - Date.now() / 1000)).toBeLessThan(30);
      expect(packet.get(11)?.[0]).toBe(1);
      expect(packet.get(12)?.readUInt32BE()).toBe(4711);
      expect(packet.get(14)?.toString()).toBe('key-of-homer');
    }
    const [received] = ofCall();
    expect(received?.get(8)?.readUInt16BE()).toBe(port);
    expect(packets.map(text).join('')).not.toMatch(/response="[^"0]/);
    await sites.stopPhones();
    await a.stop();
    capture.close();
  },
);

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
}

test('a *52 is one trace, from the INVITE until its record is in the table', async () => {
  const spans: OtlpSpan[] = [];
  const collector = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += part;
    });
    request.on('end', () => {
      for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans) {
        expect(JSON.stringify(resource)).toContain('lastcall-call-control');
        spans.push(...scopeSpans.flatMap((scope: { spans: OtlpSpan[] }) => scope.spans));
      }
      response.end('{}');
    });
  });
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const { port } = collector.address() as AddressInfo;
  const a = await sites.run('a', { tracing: { url: `http://127.0.0.1:${port}/v1/traces` }, peers: PEERS });
  const [alice, bob] = [await sites.registered(a, '1001'), await sites.registered(a, '1002')];
  bob.behaviour = { status: 486 };
  await alice.invite('1002').final();
  expect((await alice.invite('*52').final()).status).toBe(486);
  const redial = await waitFor(
    () =>
      spans.find(
        ({ attributes, name }) => name === 'INVITE' && JSON.stringify(attributes).includes('redial'),
      ),
    { what: 'the trace of *52' },
  );
  const names = ['admit', 'lookup', 'record the dialed number', 'forward', "record the callee's call"];
  const trace = () => spans.filter(({ traceId }) => traceId === redial.traceId);
  await waitFor(() => trace().length > names.length, { what: 'every part of it' });
  expect(
    trace()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['INVITE', ...names].sort());
  const value = (name: string, key: string) =>
    trace()
      .find((span) => span.name === name)
      ?.attributes.find((attribute) => attribute.key === key)?.value;
  for (const span of trace()) {
    expect(span.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(span.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano));
    if (span !== redial) expect(span.parentSpanId).toBe(redial.spanId);
  }
  expect(redial.parentSpanId).toBeUndefined();
  expect(value('record the dialed number', 'lastcall.kept')).toEqual({ stringValue: 'durable' });
  expect(value('forward', 'sip.status')).toEqual({ intValue: '486' });
  expect(value('lookup', 'lastcall.terminal_id')).toEqual({ intValue: '1' });
  // Numbers and names of people are no attributes.
  expect(JSON.stringify(spans)).not.toContain('1002');
  await sites.stopPhones();
  await a.stop();
  collector.close();
});
