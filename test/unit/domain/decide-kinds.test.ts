import { describe, expect, it } from 'vitest';
import {
  decideKinds,
  type Publication,
  type PublishedTable,
  type StoredKind,
  type TableColumn,
} from '../../../shared/domain/decide-kinds.ts';

const column = (name: string, type = 'text', isKey = false): TableColumn => ({ name, type, isKey });
const COPY = [column('id', 'bigint', true), column('value')];
const TABLE: PublishedTable = { source: '1/2/3', replicaIdentity: 'd', columns: COPY };
const STORED: StoredKind = { state: 'streaming', source: '1/2/3', columns: ['id', 'value'] };

const decide = ({
  copy = COPY,
  table = TABLE,
  publication = {},
  stored = STORED,
}: {
  copy?: readonly TableColumn[];
  table?: PublishedTable | null;
  publication?: Partial<Publication> | null;
  stored?: StoredKind | null;
}) =>
  decideKinds(
    new Map([['k', copy]]),
    publication && {
      isComplete: true,
      kinds: new Set(['k']),
      tables: new Map(table ? [['k', table]] : []),
      ...publication,
    },
    new Map(stored ? [['k', stored]] : []),
  ).get('k');

describe('rule 36 what a kind needs before it streams', () => {
  it('nothing, when its table is the one that it was copied from', () => {
    expect(decide({})).toEqual({ action: 'stream', columns: ['id', 'value'], heldBack: [] });
  });

  it('nothing for a column that only one site has: the other’s is held back', () => {
    const columns = [...COPY, column('new')];
    expect(decide({ table: { ...TABLE, columns } })).toMatchObject({ action: 'stream', heldBack: ['new'] });
    expect(decide({ copy: columns })).toMatchObject({ action: 'stream', columns: ['id', 'value'] });
  });

  it.each([
    ['never-synchronised', { stored: null }],
    ['changes-missed', { stored: { ...STORED, state: 'held-back' as const } }],
    ['changes-missed', { stored: { ...STORED, state: 'needs-resync' as const } }],
    ['publication-changed', { table: { ...TABLE, source: '1/2/4' } }],
    ['columns-changed', { stored: { ...STORED, columns: ['id'] } }],
  ])('a copy, as %s, when changes may have been missed', (reason, state) => {
    expect(decide(state)).toEqual({ action: 'copy', reason, columns: ['id', 'value'] });
  });

  it.each([
    ['waiting-for-peer', { table: null, publication: { kinds: new Set<string>() } }],
    ['not-published', { table: null }],
    ['not-published', { publication: null }],
    ['publication-incomplete', { publication: { isComplete: false } }],
    ['replica-identity', { table: { ...TABLE, replicaIdentity: 'n' } }],
    ['replica-identity', { table: { ...TABLE, replicaIdentity: 'i' } }],
    ['schema-mismatch', { copy: [column('id', 'bigint', true), column('value', 'integer')] }],
    ['schema-mismatch', { copy: [column('id', 'bigint', true), column('value', 'text', true)] }],
    ['schema-mismatch', { copy: [...COPY, column('part', 'text', true)] }],
    ['schema-mismatch', { copy: [column('value')] }],
  ])('to be held back, as %s, while its changes cannot be applied', (reason, state) => {
    expect(decide(state)).toMatchObject({ action: 'hold', reason });
  });

  it('replica identity full names every row', () => {
    expect(decide({ table: { ...TABLE, replicaIdentity: 'f' } })?.action).toBe('stream');
  });

  it('a kind that only the origin has is none of ours', () => {
    const decisions = decideKinds(
      new Map(),
      { isComplete: true, kinds: new Set(['k']), tables: new Map([['k', TABLE]]) },
      new Map(),
    );
    expect(decisions.size).toBe(0);
  });
});
