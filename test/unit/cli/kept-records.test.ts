import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { judgeLeases, judgeRings } from '../../../services/cli/doctor/kept-records.ts';
import { ringFiles } from '../../../shared/ring/ring-place.ts';
import { openKept } from '../../support/kept-calls.ts';

test.each([
  [[], 'ok', 'none runs'],
  [[{ id: '1', site: 'a', isAttended: true }], 'ok', '1 under way'],
  [[{ id: '1', site: 'a', isAttended: false }], 'warn', 'nobody works on 1 of site a'],
] as const)('rule 32 running failovers %j: %s', (running, state, detail) => {
  const finding = judgeLeases(running);
  expect(finding.state).toBe(state);
  expect(finding.detail).toContain(detail);
});

test('rule 31 a ring file whose process is gone is told, one that is in use is not', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lastcall-rings-'));
  try {
    const kept = await openKept({ directory });
    const inUse = await ringFiles(directory, 'a');
    expect(inUse).toEqual([{ file: expect.stringMatching(/^a\.test-.*\.ring$/), lives: true }]);
    expect(judgeRings(directory, inUse).state).toBe('ok');
    expect(judgeRings(directory, [{ file: 'a.api-1.ring', lives: false }])).toMatchObject({
      state: 'warn',
      detail: expect.stringContaining('a.api-1.ring'),
    });
    await kept.close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
