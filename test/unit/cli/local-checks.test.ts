import { describe, expect, it } from 'vitest';
import {
  judgeCertificate,
  judgeMode,
  judgeNode,
  judgePostgres,
  judgeTokens,
} from '../../../services/cli/doctor/local-checks.ts';
import { LagHistory } from '../../../services/cli/lag-history.ts';
import { micros } from '../../../shared/domain/micros.ts';
import type { TokenEntry } from '../../../shared/postgres/tokens.ts';

const DAY = 86_400_000;

describe('the doctor', () => {
  it.each([
    [-1, -1, 'fail'],
    [1, 100, 'fail'],
    [-1, 29, 'warn'],
    [-1, 31, 'ok'],
  ])('a certificate from day %i to day %i: %s', (from, to, state) =>
    expect(judgeCertificate('c', from * DAY, to * DAY, 0).state).toBe(state),
  );

  it.each([
    [0o600, 'ok'],
    [0o640, 'ok'],
    [0o644, 'warn'],
    [0o602, 'warn'],
    [null, 'fail'],
  ])('a file of mode %o: %s', (mode, state) => expect(judgeMode('f', mode).state).toBe(state));

  it.each([
    ['20.18.9', 'fail'],
    ['18.20.0', 'fail'],
    ['20.19.0', 'ok'],
    ['24.1.0', 'ok'],
  ])('Node.js %s: %s', (version, state) => expect(judgeNode(version).state).toBe(state));

  it.each([
    [140_009, 'fail'],
    [150_009, 'ok'],
    [180_001, 'ok'],
    [190_000, 'warn'],
  ])('PostgreSQL %i: %s', (version, state) => expect(judgePostgres(version).state).toBe(state));

  const entry = (more: Partial<TokenEntry>): TokenEntry => ({
    name: 'x',
    role: 'read',
    oneTime: false,
    createdBy: 'me',
    createdAt: micros(0),
    expiresAt: null,
    lastUsedAt: null,
    ...more,
  });
  it.each([
    ['long-enough-long-enough-token', [], ['ok']],
    ['short-short-short', [], ['warn']],
    ['long-enough-long-enough-token', [entry({ role: 'admin' })], ['warn']],
    ['long-enough-long-enough-token', [entry({})], ['ok']],
    ['long-enough-long-enough-token', [entry({ expiresAt: micros(DAY * 1000) })], ['warn']],
    ['long-enough-long-enough-token', [entry({ expiresAt: micros(DAY * 1000), oneTime: true })], ['ok']],
  ])('tokens %s and %j: %j', (token, stored, states) =>
    expect(judgeTokens([{ token, role: 'read' }], stored, 0).map(({ state }) => state)).toEqual(states),
  );
});

it('the lag of each direction is drawn to its own scale, at most a minute of it', () => {
  const seen = new LagHistory();
  const look = (lagMs: number | null) =>
    seen.add([{ from: 'a', to: 'b', lagMs } as Parameters<LagHistory['add']>[0][number]]);
  for (const lag of [0, 50, null, 100]) look(lag);
  expect(seen.sparkline({ from: 'a', to: 'b' })).toBe('▁▅ █');
  for (let n = 0; n < 100; n++) look(1);
  expect(seen.sparkline({ from: 'a', to: 'b' })).toHaveLength(60);
});
