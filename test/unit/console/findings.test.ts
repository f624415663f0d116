import { expect, test } from 'vitest';
import type { Direction, Failover } from '../../../services/console/answers.ts';
import { findings, type Seen } from '../../../services/console/findings.ts';
import { type EventName, lastcallEvent, type Notice } from '../../../shared/domain/alert.ts';

const NOW = Date.parse('2026-11-21T10:00:00Z');
const direction: Direction = {
  from: 'a',
  to: 'b',
  state: 'streaming',
  reason: null,
  lagBytes: 0,
  lagMs: 12,
  appliedLsn: '0/1',
  timeline: 1,
  slot: { walStatus: 'reserved', retainedBytes: 1, budgetBytes: 100, etaSeconds: null },
  rowsReceived: 1,
  rowsApplied: 1,
  receivedAt: null,
  updatedAt: null,
  paused: false,
  fencedBy: null,
  kinds: [],
};
const failover: Failover = {
  id: '1',
  site: 'b',
  reason: 'promotion',
  requestedBy: 'repmgr',
  state: 'done',
  error: null,
  salvagedRows: 0,
  salvagedMarks: 0,
  requestedAt: '2026-11-21T09:59:00.000000Z',
  endedAt: '2026-11-21T09:59:30.000000Z',
};
const well: Seen = {
  site: 'a',
  health: { status: 'ready', checks: { postgres: { state: 'up' } } },
  directions: [direction],
  failovers: [failover],
  alerts: { open: [], recent: [] },
  nowMs: NOW,
};

const told = (event: EventName, detail: Notice['detail'] = {}): Notice => ({
  ...lastcallEvent(event, 'b', { detail }),
  id: event,
  at: '2026-11-21T10:00:00.000Z',
  phase: 'begin',
  since: '2026-11-21T10:00:00.000Z',
  withheld: 0,
});

test.each<[string, Partial<Seen>, string[]]>([
  ['all is well', {}, []],
  [
    'a part is down',
    { health: { status: 'degraded', checks: { redis: { state: 'down', reason: 'refused' } } } },
    ['fault: Redis of site a is down: refused'],
  ],
  [
    'a direction stands',
    { directions: [{ ...direction, state: 'stopped', reason: 'peer-unreachable' }] },
    ['fault: The copy of a at b stands still (peer-unreachable)'],
  ],
  [
    'paused on purpose',
    { directions: [{ ...direction, state: 'stopped', paused: true }] },
    ['notice: The copy of a at b is paused'],
  ],
  [
    'it lags',
    { directions: [{ ...direction, lagMs: 65_000 }] },
    ['notice: The copy of a at b is 1 min behind'],
  ],
  [
    'its slot fills',
    { directions: [{ ...direction, slot: { ...direction.slot, retainedBytes: 51 } }] },
    ['notice: More than half of the WAL budget from a to b is used'],
  ],
  [
    'the coordinator tells what it alone sees; the rest stands there already',
    {
      alerts: {
        open: [
          told('clock-skew', { skewMs: -9_000 }),
          told('two-primaries', { hosts: 'x, y' }),
          told('needs-resync'),
        ],
        recent: [told('site-unreachable')],
      },
    },
    [
      'fault: Two databases of site b take writes: x, y',
      "notice: The clock of site b's database is 9.0 s off",
    ],
  ],
  [
    'a failover runs',
    { failovers: [{ ...failover, state: 'running', endedAt: null }] },
    ['notice: A failover of site b is under way'],
  ],
  [
    'one failed lately, the fault before the notice',
    {
      directions: [{ ...direction, state: 'resyncing' }],
      failovers: [{ ...failover, state: 'failed', error: 'no slot' }],
    },
    ['fault: The failover of site b failed: no slot', 'notice: The copy of a at b is being made anew'],
  ],
  [
    'one failed long ago',
    { failovers: [{ ...failover, state: 'failed', endedAt: '2026-11-20T09:00:00.000000Z' }] },
    [],
  ],
])('%s', (_case, seen, expected) => {
  expect(findings({ ...well, ...seen }).map(({ severity, text }) => `${severity}: ${text}`)).toEqual(
    expected,
  );
});
