import { expect, test } from 'vitest';
import { type NodeHistory, secondIsPrimary } from '../../../services/lab/ha/ha-cluster.ts';
import { repmgrConfig } from '../../../services/lab/ha/repmgr.ts';

const primary = (timeline: number): NodeHistory => ({ standby: false, timeline });
const standby = (timeline: number): NodeHistory => ({ standby: true, timeline });

test.each([
  ['nothing is there yet', null, null, false],
  ['only the first has data', primary(1), null, false],
  ['the first cluster with its standby', primary(1), standby(1), false],
  ['the second was promoted, the first came back as its standby', standby(2), primary(2), true],
  ['the second was promoted, the first never came back', primary(1), primary(2), true],
  ['the first was promoted again, the second never came back', primary(3), primary(2), false],
])('which server starts as the primary: %s', (_what, first, second, expected) => {
  expect(secondIsPrimary(first, second)).toBe(expected);
});

test('repmgr is told to promote by itself and to call the hook, whatever quotes stand in it', () => {
  const text = repmgrConfig({
    node: { id: 2, name: 'standby', port: 55442, dataDir: '/d' },
    binDir: '/b',
    configFile: '/c',
    passwordFile: '/p',
    eventCommand: `hook %n "it's"`,
  });
  expect(text).toContain("failover='automatic'");
  expect(text).toContain("promote_command='/b/repmgr -f /c standby promote'");
  expect(text).toContain(`event_notification_command='hook %n "it''s"'`);
  expect(text).not.toContain('password=');
});
