export interface Example {
  readonly request?: object;
  /** Of its success. */
  readonly response?: object | string;
  /** Instead of that one, by status. */
  readonly others?: Readonly<Record<string, object>>;
}

const AT = '2026-11-21T03:47:00.123456Z';
const LATER = '2026-11-21T03:47:08.004512Z';

const TERMINAL = {
  terminalId: 1,
  userId: 10,
  username: '1001',
  aor: 'sip:1001@example.net',
  number: '1001',
  numberId: null,
  features: ['redial', 'return'],
  enabled: true,
  updatedAt: AT,
  site: 'a',
};
const CHANGE = {
  number: '1001',
  username: '1001',
  password: 'a-long-password',
  features: ['redial', 'return'],
};
const LAST_CALL = { number: '1002', numberId: null, at: AT, site: 'b', withheld: false };
const IN_TABLE = { number: '1002', numberId: null, at: AT };
const DIRECTION = {
  from: 'a',
  to: 'b',
  state: 'streaming',
  reason: null,
  lagBytes: 0,
  lagMs: 3.1,
  appliedLsn: '0/3A0418F8',
  timeline: 1,
  slot: { walStatus: 'reserved', retainedBytes: 16_384, budgetBytes: 4_294_967_296, etaSeconds: null },
  rowsReceived: 10_412,
  rowsApplied: 9_877,
  receivedAt: AT,
  updatedAt: AT,
  paused: false,
  fencedBy: null,
  kinds: [],
};
const FAILOVER = {
  id: 'b-2026-11-21-1',
  site: 'b',
  reason: 'timeline-changed',
  requestedBy: 'coordinator',
  state: 'done',
  error: null,
  salvagedRows: 3,
  salvagedMarks: 0,
  requestedAt: AT,
  endedAt: LATER,
};
const TOKEN = {
  name: 'pbx-1',
  role: 'record',
  oneTime: false,
  createdBy: 'ann',
  createdAt: AT,
  expiresAt: '2027-11-21T03:47:00.123456Z',
  lastUsedAt: null,
};
const NOTICE = {
  id: '7d0c6a52-5f1d-4a0e-9a3c-0f4f6b1f2a11',
  event: 'site-unreachable',
  phase: 'begin',
  site: 'b',
  from: null,
  to: null,
  reason: 'connect ECONNREFUSED',
  detail: {},
  at: '2026-11-21T03:47:00.123Z',
  since: '2026-11-21T03:47:00.123Z',
  withheld: 0,
};
const BAN = { name: '1001', source: '203.0.113.7', failures: 12, heldUntil: LATER };
const STEERED = (action: string) => ({ response: { from: 'a', to: 'b', action, accepted: true } });

/** By method and address, as the routes name them. A test holds each against its schema. */
export const EXAMPLES: Readonly<Record<string, Example>> = {
  'GET /v1/target': { response: { number: '1002', site: 'b', at: AT, ageMs: 8_123, degraded: false } },
  'POST /v1/calls': {
    request: { callId: '84c2@pbx', event: 'missed', from: '+442071234567', to: '1001' },
    response: { callId: '84c2@pbx', event: 'missed', result: 'recorded', terminalId: 1 },
    others: { 202: { callId: '84c2@pbx', event: 'missed', result: 'journalled', terminalId: 1 } },
  },
  'GET /v1/terminals': { response: { terminals: [TERMINAL], next: null } },
  'POST /v1/terminals': { request: { terminalId: 1, ...CHANGE }, response: TERMINAL },
  'GET /v1/terminals/:terminalId': { response: TERMINAL },
  'PUT /v1/terminals/:terminalId': { request: CHANGE, response: TERMINAL },
  'PATCH /v1/terminals/:terminalId': {
    request: { enabled: false },
    response: { ...TERMINAL, enabled: false },
  },
  'GET /v1/terminals/:terminalId/lastcalls': {
    response: {
      terminalId: 1,
      dialed: LAST_CALL,
      received: null,
      terminated: null,
      tables: { a: null, b: { dialed: IN_TABLE, received: null, terminated: null } },
      degraded: false,
      unreadable: [],
    },
  },
  'DELETE /v1/terminals/:terminalId/lastcalls': {
    response: { terminalId: 1, scope: 'all', forgottenAt: AT },
  },
  'GET /v1/tokens': { response: { tokens: [TOKEN] } },
  'POST /v1/tokens': {
    request: { name: 'pbx-1', role: 'record' },
    response: { ...TOKEN, token: 'shown-this-once-and-never-again' },
  },
  'POST /v1/console/login': {
    request: { code: 'the-code-of-the-link' },
    response: { token: 'good-for-this-log-in', name: 'ann', role: 'admin', expiresAt: LATER },
  },
  'GET /v1/console': {
    response: {
      site: 'a',
      domain: 'example.net',
      codes: [{ code: '*52', feature: 'redial' }],
      servers: [{ scheme: 'wss', host: 'sip.example.net', port: 5063 }],
    },
  },
  'GET /v1/console/accounts': {
    response: { accounts: [{ username: '1001', password: 'of-a-demonstration' }] },
  },
  'GET /v1/audit': {
    response: {
      entries: [
        {
          id: 71,
          at: AT,
          who: 'ann',
          via: 'rest',
          source: '10.0.0.20',
          what: 'POST /v1/tokens',
          details: { name: 'pbx-1', role: 'record' },
          requestId: 'req-9f2c',
        },
      ],
      next: null,
    },
  },
  'GET /v1/records': {
    response: {
      records: [
        {
          recordId: '7d1f0c9e-52a8-4b1e-9a55-3f0b6f0a1c2d',
          at: AT,
          callId: 'a84b4c76e66710@10.0.0.31',
          fromTerminalId: 1,
          fromNumber: '1001',
          withheld: false,
          toTerminalId: 2,
          toNumber: '1002',
          code: 'redial',
          sourceSite: 'b',
          sourceAgeMs: 8_123,
          result: 'answered',
          status: 200,
          setupMs: 2_410,
          talkMs: 61_007,
        },
      ],
      next: null,
    },
  },
  'GET /v1/events': {
    response: `event: failovers\ndata: {"failovers": []}\n\n`,
  },
  'GET /v1/tables/:kind/:key': {
    response: {
      kind: 'forwardings',
      key: { terminal_id: 1 },
      groups: { forward: { site: 'a', at: AT, columns: { forward_to: '1002' } } },
      columns: {},
    },
  },
  'GET /v1/targets': {
    response: {
      site: 'a',
      targets: [
        {
          target: 'billing',
          kinds: ['lastcalls'],
          state: 'streaming',
          reason: null,
          detail: null,
          lagMs: 12,
          appliedLsn: '0/3A0418F8',
          rowsReceived: 412,
          rowsApplied: 400,
          updatedAt: AT,
        },
      ],
    },
  },
  'GET /v1/alerts': { response: { open: [NOTICE], recent: [NOTICE] } },
  'GET /v1/bans': { response: { bans: [BAN] } },
  'DELETE /v1/bans/:nameOrSource': { response: { lifted: [BAN] } },
  'GET /v1/replication': { response: { site: 'b', directions: [DIRECTION] } },
  'POST /v1/replication/:from/:to/resync': STEERED('resync'),
  'POST /v1/replication/:from/:to/pause': STEERED('pause'),
  'POST /v1/replication/:from/:to/resume': STEERED('resume'),
  'POST /v1/compare': {
    request: { repair: false },
    response: {
      equal: true,
      tables: [
        {
          table: 'lastcalls',
          from: 'a',
          to: 'b',
          originRows: 10_412,
          copyRows: 10_412,
          differing: 0,
          differingKeys: [],
          repaired: 0,
        },
      ],
    },
  },
  'POST /v1/failovers': { request: { site: 'b', reason: 'promoted by hand' }, response: { id: FAILOVER.id } },
  'GET /v1/failovers': { response: { failovers: [FAILOVER] } },
  'GET /v1/failovers/:id': {
    response: {
      ...FAILOVER,
      steps: [
        {
          direction: 'b>a',
          step: 'check',
          state: 'done',
          attempts: 1,
          startedAt: AT,
          endedAt: LATER,
          detail: {},
        },
      ],
    },
  },
};
