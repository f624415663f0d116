import { expect, test } from 'vitest';
import { hepPacket } from '../../../shared/sip/hep.ts';
import type { CapturedMessage } from '../../../shared/sip/transport/mirror.ts';

const message: CapturedMessage = {
  transport: 'udp',
  from: { address: '192.0.2.1', port: 5060 },
  to: { address: '192.0.2.2', port: 5070 },
  atMicros: 1_700_000_000_123_456,
  text: 'OPTIONS sip:x SIP/2.0\r\n\r\n',
};

test('a packet is HEP3, its length, and chunks in network order', () => {
  const packet = hepPacket(message, { agentId: 7, password: 'key' });
  expect(packet.subarray(0, 4).toString()).toBe('HEP3');
  expect(packet.readUInt16BE(4)).toBe(packet.byteLength);
  expect(packet.toString('hex')).toContain('00000003000ac0000201'); // chunk 3, ten bytes, 192.0.2.1
  expect(packet.toString('hex')).toContain('00000008000813ce'); // chunk 8, eight bytes, 5070
  expect(packet.subarray(-message.text.length).toString()).toBe(message.text);
});

test('IPv6 addresses have chunks of their own, and a stream is told as TCP', () => {
  const packet = hepPacket(
    {
      ...message,
      transport: 'tls',
      from: { address: '2001:db8::7', port: 1 },
      to: { address: '::ffff:192.0.2.9', port: 2 },
    },
    { agentId: 7, password: null },
  ).toString('hex');
  expect(packet).toContain('0000000100070a'); // AF_INET6
  expect(packet).toContain('00000002000706'); // TCP
  expect(packet).toContain('00000005001620010db8000000000000000000000007');
  expect(packet).toContain('00000006001600000000000000000000ffffc0000209');
});

test('a digest response leaves as zeros of the same length', () => {
  const text =
    'REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username="1001", response="0123456789abcdef0123456789abcdef", cnonce="a"\r\n\r\n';
  const packet = hepPacket({ ...message, text }, { agentId: 7, password: null }).toString('latin1');
  expect(packet).not.toContain('0123456789abcdef');
  expect(packet).toContain(`username="1001", response="${'0'.repeat(32)}", cnonce="a"`);
});
