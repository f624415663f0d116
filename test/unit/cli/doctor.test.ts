import { describe, expect, it } from 'vitest';
import { judgeRedis } from '../../../services/cli/doctor/checks.ts';
import { type DatabaseSettings, judgeSettings } from '../../../services/cli/doctor/database-settings.ts';

const GB = 1_073_741_824;
const GOOD: DatabaseSettings = {
  serverVersion: 180001,
  walLevel: 'logical',
  maxReplicationSlots: 10,
  maxWalSenders: 10,
  maxSlotWalKeepMb: 8_192,
  synchronousCommit: 'on',
  fsync: 'on',
};
const states = (settings: Partial<DatabaseSettings>) =>
  Object.fromEntries(judgeSettings({ ...GOOD, ...settings }, 2, 4 * GB).map((f) => [f.check, f.state]));

describe('lastcall doctor', () => {
  it('finds nothing wrong with a server set up as the manual says', () => {
    expect(Object.values(states({}))).toEqual(['ok', 'ok', 'ok', 'ok', 'ok']);
  });
  it.each<[Partial<DatabaseSettings>, string, string]>([
    [{ walLevel: 'replica' }, 'wal_level', 'fail'],
    [{ maxReplicationSlots: 3 }, 'slots', 'fail'],
    [{ maxWalSenders: 0 }, 'slots', 'fail'],
    [{ maxSlotWalKeepMb: -1 }, 'max_slot_wal_keep_size', 'warn'],
    [{ maxSlotWalKeepMb: 1_024 }, 'max_slot_wal_keep_size', 'warn'],
    [{ serverVersion: 140005 }, 'version', 'fail'],
    [{ serverVersion: 190000 }, 'version', 'warn'],
    [{ fsync: 'off' }, 'durability', 'warn'],
    [{ synchronousCommit: 'off' }, 'durability', 'warn'],
  ])('%j: %s is a %s', (settings, check, state) => {
    expect(states(settings)[check]).toBe(state);
  });
  it('says what to do about each thing that is not ok', () => {
    const findings = judgeSettings({ ...GOOD, walLevel: 'minimal', maxSlotWalKeepMb: -1 }, 1, GB);
    for (const finding of findings.filter((f) => f.state !== 'ok')) expect(finding.remedy).toMatch(/\.$/);
  });
  it('warns of a Redis that may evict or forget the journal', () => {
    const info = (policy: string, aof: string) =>
      `redis_version:7.0.15\r\nmaxmemory_policy:${policy}\r\naof_enabled:${aof}\r\n`;
    expect(judgeRedis(info('noeviction', '1')).state).toBe('ok');
    expect(judgeRedis(info('allkeys-lru', '1')).state).toBe('warn');
    expect(judgeRedis(info('noeviction', '0')).state).toBe('warn');
  });
});
