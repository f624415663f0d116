/** pgoutput messages as a server would send them. */
import type { CopyTable } from '../../../shared/postgres/replication/table-layout.ts';

export type Value = Buffer | null | 'unchanged';

export const bigint = (value: bigint | number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
};

export function tuple(values: readonly Value[]): Buffer {
  const parts: Buffer[] = [Buffer.alloc(2)];
  parts[0]?.writeInt16BE(values.length);
  for (const value of values) {
    if (value === null) parts.push(Buffer.from('n'));
    else if (value === 'unchanged') parts.push(Buffer.from('u'));
    else {
      const head = Buffer.alloc(5);
      head[0] = 0x62;
      head.writeInt32BE(value.length, 1);
      parts.push(head, value);
    }
  }
  return Buffer.concat(parts);
}

export const COPY: CopyTable = {
  kind: {
    kind: 'lastcalls',
    purpose: 'state',
    key: ['terminal_id'],
    columns: [
      { name: 'terminal_id', type: 'bigint' },
      { name: 'last_dialed_call', type: 'text' },
    ],
    groups: [],
    singleDates: [],
    follows: null,
    rowFilter: null,
    epoch: 1,
  },
  table: 'lastcalls_a',
  rowTypeOid: 99_999,
  columns: [
    { name: 'terminal_id', typeOid: 20, type: 'bigint', isKey: true },
    { name: 'last_dialed_call', typeOid: 25, type: 'text', isKey: false },
  ],
};

export const RELATION = {
  oid: 16_400,
  schema: 'lastcall',
  table: 'lastcalls_a',
  replicaIdentity: 'd',
  columns: [
    { name: 'terminal_id', typeOid: 20, isKey: true },
    { name: 'last_dialed_call', typeOid: 25, isKey: false },
  ],
} as const;
