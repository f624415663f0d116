import { isSiteId, SITE_ID_FORM } from '../domain/site.ts';
import {
  type ConfigOf,
  flag,
  hostPort,
  integer,
  listOf,
  mapOf,
  networks,
  oneOf,
  optional,
  postgresUrl,
  redisUrl,
  section,
  text,
  textMap,
  texts,
} from './config-field.ts';
import { ALERTS, HEP, TRACING } from './observing-config.ts';

const SITE = { accepts: isSiteId, expected: SITE_ID_FORM };
const LOOPBACK = (port: number) => ({ host: '127.0.0.1', port });
const millis = (description: string, value: number, max = 3_600_000) =>
  integer(description, { min: 1, max, unit: 'milliseconds', default: value });

/** Every configuration key: what it means, its unit, its range and its default. One file a site serves all its processes. */
export const CONFIG_SCHEMA = section('Lastcall site configuration', {
  site: text('This site, as in the table name lastcalls_<site>', SITE),
  domain: text('SIP domain and digest realm of the subscribers', {
    pattern: /^[A-Za-z0-9.-]+$/,
    expected: 'a domain name',
  }),

  postgres: section("This site's PostgreSQL; several hosts mean: whichever is the primary", {
    url: postgresUrl('As role lastcall_app'),
    replicatorUrl: optional(postgresUrl('As role lastcall_replicator')),
    coordinatorUrl: optional(postgresUrl('As role lastcall_coordinator')),
    peerUrl: optional(
      postgresUrl('As role lastcall_peer, which the other sites log in as; only for `lastcall init`'),
    ),
    ownerUrl: optional(postgresUrl('A superuser, only for `lastcall init` and `lastcall sites add`')),
    maxConnections: integer('Connections of one process', { min: 2, max: 200, default: 10 }),
    connectTimeoutMs: millis('Time for one connection attempt', 2_000, 60_000),
    lookupBudgetMs: millis('Hard limit of one lookup', 500, 10_000),
    statementBudgetMs: millis('Time for one write', 2_000, 60_000),
  }),

  redis: section("This site's Redis: bindings, journal, jobs", {
    url: redisUrl('Where it is'),
    commandTimeoutMs: millis('Time for one command', 500, 60_000),
  }),

  sip: section('SIP listeners and policy', {
    udp: optional(hostPort('UDP listener')),
    tcp: optional(hostPort('TCP listener')),
    tls: optional(hostPort('TLS listener')),
    ws: optional(hostPort('WebSocket listener (RFC 7118)')),
    wss: optional(hostPort('Secure WebSocket listener')),
    certificate: optional(text('PEM file with the certificate chain, for tls and wss')),
    key: optional(text('PEM file with the private key, for tls and wss')),
    advertise: optional(text('Host that Via and Record-Route name instead of the listening address')),
    trustedPeers: networks('Networks whose P-Asserted-Identity is believed and who need no credentials', {
      default: [],
    }),
    trustFrom: networks(
      'Networks within trustedPeers whose From is the caller where P-Asserted-Identity is missing: trunks that send none',
      { default: [] },
    ),
    siteKey: optional(
      text('Key that the sites prove themselves to each other with; the same at all of them', {
        secret: true,
        pattern: /^\S{32,}$/,
        expected: 'at least 32 characters without spaces, such as from `openssl rand -hex 32`',
      }),
    ),
    foreignDomains: oneOf(
      'Calls to other domains: refused, or sent to nextHop, which decides',
      ['refuse', 'gateway'],
      { default: 'refuse' },
    ),
    nextHop: optional(
      text('SIP URI that calls to numbers of no terminal here go to', {
        pattern: /^sips?:\S+$/,
        expected: 'a SIP URI',
      }),
    ),
    minExpiresSeconds: integer('Shortest registration; below it 423', {
      min: 1,
      max: 86_400,
      unit: 'seconds',
      default: 30,
    }),
    defaultExpiresSeconds: integer('Registration without Expires', {
      min: 1,
      max: 604_800,
      unit: 'seconds',
      default: 3_600,
    }),
    maxExpiresSeconds: integer('Longest registration', {
      min: 1,
      max: 604_800,
      unit: 'seconds',
      default: 7_200,
    }),
    maxContacts: integer('Contacts of one address of record', { min: 1, max: 100, default: 10 }),
    maxDialogSeconds: integer('How long a call may last before its dialog is forgotten', {
      min: 60,
      max: 604_800,
      unit: 'seconds',
      default: 86_400,
    }),
    noAnswerSeconds: integer('How long a callee may ring (Timer C)', {
      min: 5,
      max: 3_600,
      unit: 'seconds',
      default: 180,
    }),
    nextStageSeconds: integer(
      'Silence after which a call is tried further on as well, at the peer sites first',
      {
        min: 1,
        max: 32,
        unit: 'seconds',
        default: 2,
      },
    ),
    nonceLifetimeSeconds: integer('How long a digest nonce is good', {
      min: 10,
      max: 86_400,
      unit: 'seconds',
      default: 300,
    }),
    // RFC 8760 lets a server offer several; phones of before it give up at the first challenge they cannot answer.
    digestAlgorithms: texts(
      'Digest algorithms, in the order offered; add SHA-256 once every phone knows RFC 8760',
      {
        pattern: /^(SHA-256|MD5)$/,
        expected: 'a list of SHA-256 and MD5',
        default: ['MD5'],
      },
    ),
    maxConnectionsPerSource: integer(
      'TCP, TLS and WebSocket connections of one address; trusted networks have no such limit',
      { min: 1, max: 1_000_000, default: 100 },
    ),
    maxTransactions: integer('Calls being set up beyond which new INVITEs get 503', {
      min: 100,
      max: 1_000_000,
      default: 100_000,
    }),
    maxCallsPerSource: integer('Calls being set up from one address beyond which its INVITEs get 503', {
      min: 1,
      max: 1_000_000,
      default: 1_000,
    }),
    maxEventLoopDelayMs: millis('Event-loop delay beyond which new INVITEs get 503', 500, 60_000),
    processes: text('Processes of one call-control behind the same listeners; auto: as many as processors', {
      pattern: /^(auto|[1-9]|[12][0-9]|3[0-6])$/,
      expected: '`auto` or 1 to 36',
      default: '1',
    }),
    drainSeconds: integer('How long calls in progress may finish after SIGTERM', {
      min: 0,
      max: 3_600,
      unit: 'seconds',
      default: 10,
    }),
  }),

  calls: section('What star codes do, and what is recorded', {
    featureCodes: textMap('Feature by dialed code; aliases are further entries', {
      keyPattern: /^[*#0-9A-Za-z]{1,16}$/,
      values: ['redial', 'return', 'erase', 'trace'],
      expected: 'codes with redial, return, erase or trace',
      default: { '*52': 'redial', '*69': 'return' },
    }),
    emergencyNumbers: texts(
      'Called without credentials, never recorded, never redialed; a trailing * matches a prefix',
      {
        default: ['112', '911', '110', '999'],
        expected: 'a list of numbers',
      },
    ),
    barredNumbers: texts('Never reached by a star code; a trailing * matches a prefix', {
      default: [],
      expected: 'a list of numbers',
    }),
    dialRules: textMap(
      "Turns a caller's number into what the subscriber dials: replacement by prefix, longest first",
      {
        default: {},
        expected: 'replacements by prefix, such as "+44": "0"',
      },
    ),
    eraseAnswer: oneOf(
      'What a subscriber hears after erasing or tracing: an answered call or a refusal',
      ['480', '200'],
      {
        default: '480',
      },
    ),
    batchDelayMs: millis('How long a record waits for others, to be written with them', 5, 1_000),
    batchRows: integer('Terminals in one write at most', { min: 1, max: 10_000, default: 500 }),
    recordDays: integer('How long a row for each finished call is kept; 0: none is written', {
      min: 0,
      max: 3_650,
      unit: 'days',
      default: 0,
    }),
    retentionDays: integer('Age at which last calls are forgotten at every site; 0: never', {
      min: 0,
      max: 36_500,
      unit: 'days',
      default: 0,
    }),
    allowedSkewMs: millis('A date further ahead of this clock raises an alarm', 5_000),
  }),

  journal: section('What is recorded, until the table and every peer hold it', {
    ringDirectory: text('Directory of the ring files, on a local disk; the processes of a site share it', {
      default: '/var/tmp/lastcall',
    }),
    ringBytes: integer("Size of one process's ring file", {
      min: 1_048_576,
      max: 17_179_869_184,
      unit: 'bytes',
      default: 16_777_216,
    }),
    fdatasync: flag('REST answers wait until records are on the disk itself: they survive a loss of power', {
      default: false,
    }),
  }),

  callReturn: section('*69', {
    source: oneOf('Which calls it returns', ['missed', 'any'], { default: 'missed' }),
  }),

  api: section('REST', {
    listen: hostPort('Listener', { default: LOOPBACK(8080) }),
    certificate: optional(text('PEM file with the certificate chain: REST over TLS, and nothing without')),
    key: optional(text('PEM file with the private key')),
    requestsPerSecond: integer('Requests of one token; beyond it 429', {
      min: 1,
      max: 1_000_000,
      default: 20_000,
    }),
    failedLoginsPerMinute: integer('Wrong tokens and codes from one address; beyond it 429', {
      min: 1,
      max: 100_000,
      default: 30,
    }),
    corsOrigins: texts('Origins whose web pages may use the api', {
      pattern: /^https?:\/\/[^\s/]+$/,
      expected: 'a list of origins, such as https://console.example.net',
      default: [],
    }),
    trustedProxies: networks('Reverse proxies whose X-Forwarded-For names the asker', { default: [] }),
    accessLog: flag('A line in the log for each answer under /v1', { default: true }),
    drainSeconds: integer('How long requests under way may finish after SIGTERM', {
      min: 0,
      max: 25,
      unit: 'seconds',
      default: 10,
    }),
    consoleHours: integer('How long a log-in at the console lasts', {
      min: 1,
      max: 720,
      unit: 'hours',
      default: 12,
    }),
    auditDays: integer('How long the audit log is kept', {
      min: 30,
      max: 36_500,
      unit: 'days',
      default: 365,
    }),
    tokens: listOf(
      'Bearer tokens besides those of `lastcall tokens`; none at all: only the health paths answer',
      {
        token: text('The token', {
          secret: true,
          pattern: /^\S{16,}$/,
          expected: 'at least 16 characters without spaces',
        }),
        role: oneOf('What it may do', ['read', 'record', 'admin'], {}),
      },
    ),
    demoAccounts: listOf("Accounts that the console's softphone offers to an admin, for a demonstration", {
      username: text('Digest username of the terminal'),
      password: text('Its password, in clear', { secret: true }),
    }),
  }),

  health: section('Health and metrics listeners (the api serves its own); port 0 takes a free one', {
    callControl: hostPort('call-control', { default: LOOPBACK(0) }),
    replicator: hostPort('replicator', { default: LOOPBACK(0) }),
    coordinator: hostPort('coordinator', { default: LOOPBACK(0) }),
  }),

  peers: mapOf('The other sites, by name', SITE, {
    sip: optional(text('SIP URI of its call-control', { pattern: /^sips?:\S+$/, expected: 'a SIP URI' })),
    replicatorUrl: optional(postgresUrl('Its PostgreSQL as role lastcall_peer')),
    coordinatorUrl: optional(postgresUrl('Its PostgreSQL as role lastcall_coordinator')),
  }),

  replication: section('Replicator', {
    heartbeatMs: millis('Time between heartbeats', 1_000, 60_000),
    pendingLimitBytes: integer(
      'Conflated rows held while a batch is applied; beyond it the socket is left unread',
      {
        min: 65_536,
        max: 4_294_967_296,
        unit: 'bytes',
        default: 16_777_216,
      },
    ),
    fillLimitMs: millis('How long a batch may fill on purpose while there is a backlog', 50, 10_000),
    durableEveryMs: millis(
      'Time between two durable commits, and so acknowledgements, while changes flow',
      200,
      10_000,
    ),
    silenceLimitMs: millis(
      'Silence of the publisher after which its connection counts as dead',
      20_000,
      600_000,
    ),
    slotBudgetBytes: integer('WAL that a slot may retain before it is dropped on purpose', {
      min: 1_048_576,
      max: 1e15,
      unit: 'bytes',
      default: 4_294_967_296,
    }),
    coordinatorGraceMs: integer('How long a resynchronisation waits for the coordinator to salvage first', {
      min: 0,
      max: 3_600_000,
      unit: 'milliseconds',
      default: 10_000,
    }),
    slotLockTimeoutMs: millis(
      'How long the making of a slot may wait for older transactions',
      10_000,
      600_000,
    ),
    definitionCheckMs: millis(
      'How often the catalogs of both ends of a direction are compared while it streams',
      60_000,
      3_600_000,
    ),
    markRetentionDays: integer('How long a forget mark is kept', {
      min: 1,
      max: 3_650,
      unit: 'days',
      default: 30,
    }),
  }),

  coordinator: section('Failover', {
    watchMs: millis('Time between looks at the databases', 1_000, 600_000),
    settleMs: millis('How long a change must stand before it is acted on', 2_000, 600_000),
    stepTimeoutMs: millis('Time for one step of a failover', 600_000, 86_400_000),
    fenceCommand: optional(
      text(
        'Stops an old primary that a promotion has replaced, once what only it holds is salvaged; {host} and {port} are its own',
      ),
    ),
    switchoverCommand: optional(text("The HA tool's switchover command; {host} is the new primary")),
    pgbouncerUrls: texts('PgBouncer admin consoles to PAUSE and RESUME around a switchover', {
      default: [],
      expected: 'a list of postgres:// URLs of the pgbouncer database',
      secret: true,
    }),
    backupCheckCommand: optional(text('Exits 0 when a recent backup is known, such as `barman check main`')),
  }),

  hep: HEP,

  tracing: TRACING,

  alerts: ALERTS,

  log: section('Logs', {
    level: oneOf('From which level on', ['trace', 'debug', 'info', 'warn', 'error'], { default: 'info' }),
    pretty: flag('For people rather than machines', { default: false }),
    fullNumbers: flag('Telephone numbers unmasked', { default: false }),
  }),
});

export type Config = ConfigOf<typeof CONFIG_SCHEMA>;
