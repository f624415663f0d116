import { expect, test } from 'vitest';
import { type ChangeSink, decodePgoutput } from '../../../shared/postgres/replication/pgoutput.ts';
import { FrameBuffer } from '../../../shared/postgres/wire/frame-buffer.ts';
import { ProtocolRefused } from '../../../shared/postgres/wire/server-error.ts';
import { bigint, tuple } from './tuples.ts';

/** What a sink was told, in words. */
function decode(message: Buffer): string[] {
  const told: string[] = [];
  const sink: ChangeSink = {
    begin: (at) => told.push(`begin ${at}`),
    relation: ({ schema, table, columns }) =>
      told.push(
        `relation ${schema}.${table} ${columns.map(({ name, isKey }) => (isKey ? `${name}!` : name))}`,
      ),
    upsert: (oid, bytes, start, end) =>
      told.push(`upsert ${oid} ${bytes.toString('latin1', start, end).length}`),
    remove: (oid, bytes, start, end) =>
      told.push(`remove ${oid} ${bytes.toString('latin1', start, end).length}`),
    truncate: (oids) => told.push(`truncate ${oids}`),
    commit: (at, micros) => told.push(`commit ${at} ${micros}`),
  };
  // In the middle of a larger buffer, as it stands in the receive buffer.
  decodePgoutput(
    Buffer.concat([Buffer.from('before'), message, Buffer.from('after')]),
    6,
    6 + message.length,
    sink,
  );
  return told;
}

const int = (value: number, size: 2 | 4): Buffer => {
  const bytes = Buffer.alloc(size);
  bytes.writeIntBE(value, 0, size);
  return bytes;
};
const row = tuple([bigint(1), Buffer.from('x')]);
const key = tuple([bigint(1), null]);

test('begin and commit carry their LSN; a commit the one after it and its time', () => {
  expect(decode(Buffer.concat([Buffer.from('B'), bigint(77), bigint(0), int(5, 4)]))).toEqual(['begin 77']);
  const commit = Buffer.concat([Buffer.from('C\0'), bigint(77), bigint(99), bigint(1_000_001)]);
  expect(decode(commit)).toEqual(['commit 99 946684801000001']);
});

test('insert, update, update of the key and delete', () => {
  const change = (type: string, ...parts: Buffer[]): Buffer =>
    Buffer.concat([Buffer.from(type), int(16_400, 4), ...parts]);
  expect(decode(change('I', Buffer.from('N'), row))).toEqual([`upsert 16400 ${row.length}`]);
  expect(decode(change('U', Buffer.from('N'), row))).toEqual([`upsert 16400 ${row.length}`]);
  expect(decode(change('U', Buffer.from('K'), key, Buffer.from('N'), row))).toEqual([
    `remove 16400 ${key.length}`,
    `upsert 16400 ${row.length}`,
  ]);
  expect(decode(change('D', Buffer.from('K'), key))).toEqual([`remove 16400 ${key.length}`]);
});

test('relation and truncate', () => {
  const column = (flags: number, name: string): Buffer =>
    Buffer.concat([Buffer.from([flags]), Buffer.from(`${name}\0`), int(20, 4), int(-1, 4)]);
  const relation = Buffer.concat([
    Buffer.from('R'),
    int(16_400, 4),
    Buffer.from('lastcall\0lastcalls_a\0d'),
    int(2, 2),
    column(1, 'terminal_id'),
    column(0, 'user_id'),
  ]);
  expect(decode(relation)).toEqual(['relation lastcall.lastcalls_a terminal_id!,user_id']);
  expect(
    decode(Buffer.concat([Buffer.from('T'), int(2, 4), Buffer.from([0]), int(5, 4), int(6, 4)])),
  ).toEqual(['truncate 5,6']);
});

test('origin and type messages are passed over, an unknown one is refused by its name', () => {
  expect(decode(Buffer.from('O'))).toEqual([]);
  expect(decode(Buffer.from('Y'))).toEqual([]);
  expect(() => decode(Buffer.from('M'))).toThrow(ProtocolRefused);
  expect(() => decode(Buffer.from('S'))).toThrow(/"S"/);
});

test('messages are found however the socket cuts them, also one larger than the buffer', () => {
  const bodies = ['', 'short', 'x'.repeat(5_000), 'after', 'y'.repeat(700)];
  const stream = Buffer.concat(
    bodies.map((body) => Buffer.concat([Buffer.from('d'), int(body.length + 4, 4), Buffer.from(body)])),
  );
  for (const step of [1, 3, 7, 64, 999, stream.length]) {
    const frames = new FrameBuffer(1_024);
    const seen: string[] = [];
    for (let at = 0; at < stream.length; ) {
      const space = frames.space();
      const size = Math.min(step, space.length, stream.length - at);
      stream.copy(space, 0, at, at + size);
      frames.end += size;
      at += size;
      frames.drain((_, start, end) => seen.push(frames.bytes.toString('latin1', start, end)));
    }
    expect(seen).toEqual(bodies);
  }
});
