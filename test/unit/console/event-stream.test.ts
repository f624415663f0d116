import { expect, test } from 'vitest';
import { eventParser } from '../../../services/console/event-stream.ts';

const STREAM =
  'retry: 2000\n\nevent: failovers\ndata: {"failovers":[]}\n\n: beat\n\nevent: alerts\ndata: {"open":[]}\n\nevent: half';
const EVENTS = [
  { event: 'failovers', data: '{"failovers":[]}' },
  { event: 'alerts', data: '{"open":[]}' },
];

test.each([1, 2, 3, 7, 1_000])(
  'a stream of server-sent events is read the same when it comes %i characters at a time',
  (length) => {
    const parse = eventParser();
    const parts = STREAM.match(new RegExp(`[^]{1,${length}}`, 'g')) ?? [];
    expect(parts.flatMap((part) => parse(part))).toEqual(EVENTS);
  },
);

test('an event without data is none, and data of several lines is one text', () => {
  expect(eventParser()('event: nothing\n\ndata: one\ndata: two\n\n')).toEqual([
    { event: '', data: 'one\ntwo' },
  ]);
});
