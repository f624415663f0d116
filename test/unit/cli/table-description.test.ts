import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  checkedDescription,
  definitionOf,
  describedByOptions,
  namedColumns,
  typedColumns,
} from '../../../services/cli/tables/table-description.ts';
import { runCli } from './run-cli.ts';

const NOTHING = { value: [], date: [], column: [], follows: null, where: null, from: null };

describe('tables add', () => {
  it('reads a table from its options', () => {
    const description = describedByOptions({
      ...NOTHING,
      name: 'forwardings',
      key: ['terminal_id:bigint', 'reason:text'],
      group: ['forward:forwarded_at(forward_to, rings:integer, price:numeric(5,2))', 'switch:switched_at'],
      value: ['forward_to'],
      date: ['seen_at'],
      column: ['note'],
      follows: 'terminals',
      where: 'terminal_id < 10',
    });
    expect(checkedDescription(description)).toBe(description);
    expect(definitionOf(description)).toEqual({
      kind: 'forwardings',
      key: ['terminal_id', 'reason'],
      groups: [
        {
          name: 'forward',
          date: 'forwarded_at',
          columns: ['forward_to', 'rings', 'price'],
          value: 'forward_to',
        },
        { name: 'switch', date: 'switched_at', columns: [] },
      ],
      singleDates: ['seen_at'],
      follows: { kind: 'terminals', by: 'terminal_id' },
      rowFilter: 'terminal_id < 10',
    });
    expect(Object.fromEntries(typedColumns(description).map(({ name, type }) => [name, type]))).toEqual({
      terminal_id: 'bigint',
      reason: 'text',
      forward_to: 'text',
      rings: 'integer',
      price: 'numeric(5,2)',
      forwarded_at: 'timestamptz(6)',
      switched_at: 'timestamptz(6)',
      seen_at: 'timestamptz(6)',
      note: 'text',
    });
    expect(namedColumns(description).sort()).toEqual(
      typedColumns(description)
        .map(({ name }) => name)
        .sort(),
    );
  });

  const folder = mkdtempSync(join(tmpdir(), 'lastcall-table-'));
  const wrong = join(folder, 'wrong.yaml');
  writeFileSync(wrong, 'name: x\nkey: { id: bigint }\ngroups: { g: { columns: { v: text } } }\nkeys: 1\n');

  it.each([
    [['x'], 'say the key'],
    [[], 'say the name of the table'],
    [['x', '--key', 'id:bigint'], 'say at least one group'],
    [['x', '--key', 'id', '--group', 'g:at(v)'], 'say the type of the key column: --key id:bigint'],
    [['x', '--key', 'id:bigint', '--group', 'g(v)'], 'expected a group as'],
    [['x', '--key', '1-2', '--group', 'g:at(v)'], 'expected a column as'],
    [['--file', wrong, '--key', 'id'], 'with --file the file says it all'],
    [['--file', wrong], '/groups/g/date'],
    [['--file', join(folder, 'none.yaml')], 'cannot read'],
  ])('%j is wrong usage that says what is expected', async (argv, said) => {
    const run = await runCli(['tables', 'add', ...argv]);
    expect(run).toMatchObject({ exit: 2, out: '' });
    expect(run.err).toContain(said);
  });
});
