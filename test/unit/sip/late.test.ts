import { expect, it } from 'vitest';
import { LayerUnderTest } from './layer-under-test.ts';
import { requestText } from './messages.ts';

const LATE_MS = 150;
const EMPTY = { server: 0, client: 0, pending: 0 };

function sideUnderLoad(): LayerUnderTest {
  const side = new LayerUnderTest();
  side.onLate = (waitedMs) => (waitedMs >= LATE_MS ? { status: 503 } : undefined);
  return side;
}

it('a new INVITE that waited too long is refused, and nothing of it is kept', () => {
  const side = sideUnderLoad();
  side.receive(requestText(), LATE_MS);
  expect(side.flow.startLines).toEqual(['503']);
  expect(side.requests).toEqual([]);
  expect(side.layer.alive).toEqual(EMPTY);
  expect(side.wheel.armed).toBe(0);
});

it('the repetition of an INVITE that is being served is not refused, however late', () => {
  const side = sideUnderLoad();
  side.receive(requestText());
  side.transaction.trying();
  side.receive(requestText(), LATE_MS);
  expect(side.flow.startLines).toEqual(['100', '100']);
});

it('within a dialog nothing is too late', () => {
  const side = sideUnderLoad();
  side.receive(requestText({ toTag: 'b1' }), LATE_MS);
  side.receive(requestText({ method: 'BYE', toTag: 'b1' }), LATE_MS);
  expect(side.requests).toHaveLength(2);
});

it('a REGISTER may be too late as well, any other request is served', () => {
  const side = sideUnderLoad();
  side.receive(requestText({ method: 'REGISTER', branch: 'z9hG4bKr' }), LATE_MS);
  side.receive(requestText({ method: 'OPTIONS', branch: 'z9hG4bKo' }), LATE_MS);
  expect(side.flow.startLines).toEqual(['503']);
  expect(side.requests).toHaveLength(1);
});

it('what cannot be answered is judged as ever', () => {
  const side = sideUnderLoad();
  side.receive('INVITE sip:bob@example.com SIP/2.0\r\nTo: <sip:b@example.com>\r\n\r\n', LATE_MS);
  expect(side.flow.startLines).toEqual([]);
});
