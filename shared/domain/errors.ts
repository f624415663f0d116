/** How a retry loop treats an error (replication rule 19). */
export type RetryClass = 'transient' | 'slot-missing' | 'authentication' | 'never';

interface CatalogueEntry {
  readonly httpStatus: number;
  readonly retry: RetryClass;
  readonly title: string;
  readonly remedy: string;
}

const entry = (httpStatus: number, retry: RetryClass, title: string, remedy: string): CatalogueEntry => ({
  httpStatus,
  retry,
  title,
  remedy,
});

/** The one error catalogue: every error that an operator can meet, with what to do about it. */
export const ERRORS = {
  INTERNAL: entry(
    500,
    'never',
    'Unexpected error',
    'Look in the log for this error with its cause, and report it.',
  ),
  INVALID_VALUE: entry(400, 'never', 'A value is not acceptable', 'Correct the value named in the details.'),
  SCHEMA_MISSING: entry(
    503,
    'transient',
    'The database holds no Lastcall schema',
    'Run `lastcall init` against it.',
  ),
  SCHEMA_NEWER: entry(
    503,
    'never',
    'The database schema is newer than this program',
    'Upgrade this program; going back is not supported.',
  ),
  SCHEMA_CHANGED: entry(
    503,
    'never',
    'An applied migration differs from its file',
    'Restore the released sql/ folder of this version.',
  ),
  DATABASE_UNREACHABLE: entry(
    503,
    'transient',
    'PostgreSQL cannot be reached',
    'Check that the server runs and that postgres.url names it; Lastcall keeps trying.',
  ),
  DATABASE_LOGIN_REFUSED: entry(
    503,
    'authentication',
    'PostgreSQL refused the login',
    'Check user and password in postgres.url, and pg_hba.conf.',
  ),
  DATABASE_TIMEOUT: entry(
    503,
    'transient',
    'PostgreSQL did not answer in time',
    'Look for locks and load on the server; Lastcall keeps trying.',
  ),
  DATABASE_NO_PRIMARY: entry(
    503,
    'transient',
    'None of the PostgreSQL hosts takes writes',
    'Promote a standby, or name the primary in postgres.url.',
  ),
  DATABASE_BUSY: entry(
    503,
    'transient',
    'PostgreSQL could not do it now',
    'See sqlstate in the details: a deadlock passes by itself, a full disk does not; Lastcall keeps trying.',
  ),
  DATABASE_PERMISSION_DENIED: entry(
    500,
    'never',
    'PostgreSQL denied permission',
    'Run `lastcall init` to restore the grants, or use the role the command needs.',
  ),
  REDIS_UNREACHABLE: entry(
    503,
    'transient',
    'Redis cannot be reached',
    'Check that the server runs and that redis.url names it; calls and lookups go on without it.',
  ),
  REDIS_LOGIN_REFUSED: entry(
    503,
    'authentication',
    'Redis refused the login',
    'Check user and password in redis.url; calls and lookups go on without it.',
  ),
  REDIS_REFUSES_WRITES: entry(
    503,
    'transient',
    'Redis takes no writes',
    'Name the primary in redis.url, or free memory or disk; the details say which.',
  ),
  JOURNAL_FULL: entry(
    503,
    'transient',
    'PostgreSQL is away and the ring file for records is full',
    'Bring PostgreSQL back, or raise journal.ringBytes; records that were not acknowledged must be sent again.',
  ),
  RING_UNUSABLE: entry(
    503,
    'never',
    'The ring file for records cannot be made',
    'Name a directory on a local disk with room, which only this user can write, as journal.ringDirectory.',
  ),
  TERMINAL_EXISTS: entry(
    409,
    'never',
    'The terminal, or one of its names, is already taken',
    'Choose another one, or change or remove the terminal that has it.',
  ),
  TERMINAL_NOT_FOUND: entry(
    404,
    'never',
    'No such terminal',
    'List the terminals with `lastcall terminals list`.',
  ),
  NO_DATA: entry(
    404,
    'never',
    'No last call is known',
    'Nothing to do: the terminal has not made or missed a call yet.',
  ),
  WITHHELD: entry(
    404,
    'never',
    'The last caller withheld the number',
    'Nothing to do: the number was not delivered.',
  ),
  ERASED: entry(404, 'never', 'The last caller was erased', 'Nothing to do: the subscriber erased it.'),
  SELF: entry(
    404,
    'never',
    'The last call was with the terminal itself',
    'Nothing to do: nobody calls their own number back.',
  ),
  FEATURE_CODE: entry(
    404,
    'never',
    'The last call was to a feature code',
    'Nothing to do: a feature code is never called back.',
  ),
  EMERGENCY: entry(
    404,
    'never',
    'The last call was to an emergency number',
    'Nothing to do: emergency numbers are never redialed.',
  ),
  BARRED: entry(
    403,
    'never',
    'The number is barred',
    'Dial it by hand, or take it out of calls.barredNumbers.',
  ),
  FEATURE_NOT_ENABLED: entry(
    403,
    'never',
    'The terminal may not use this feature',
    "Add the feature to the terminal's features.",
  ),
  TERMINAL_DISABLED: entry(403, 'never', 'The terminal is disabled', 'Enable the terminal.'),
  UNREADABLE: entry(
    503,
    'transient',
    'The last calls cannot be read now',
    'Try again; see /readyz for the dependency that is down.',
  ),
  TOKEN_MISSING: entry(
    401,
    'never',
    'The request carries no valid token',
    'Send `Authorization: Bearer <token>`; make one with `lastcall tokens add`, or name one under api.tokens.',
  ),
  ROLE_INSUFFICIENT: entry(
    403,
    'never',
    'The token may not do this',
    'Use a token with the role named in the details.',
  ),
  TOKEN_EXISTS: entry(
    409,
    'never',
    'A token of this name exists',
    'Choose another name, or revoke that one first.',
  ),
  TOKEN_NOT_FOUND: entry(
    404,
    'never',
    'No such token',
    'List the tokens with `lastcall tokens list`; those of the configuration are changed there.',
  ),
  CODE_INVALID: entry(
    401,
    'never',
    'The log-in code is wrong, used up or too old',
    'Make a new one with `lastcall tokens add NAME --one-time`.',
  ),
  TOO_MANY_REQUESTS: entry(
    429,
    'transient',
    'Too many requests',
    'Wait for as long as Retry-After says; api.requestsPerSecond and api.failedLoginsPerMinute set the limits.',
  ),
  CHANGED_MEANWHILE: entry(
    412,
    'never',
    'It is no longer as If-Match says',
    'Read it again, and decide anew what to change.',
  ),
  CALL_REPORTED_OTHERWISE: entry(
    409,
    'never',
    'This callId and event were reported with other content',
    'Give each call a callId of its own; repeat a report exactly as it was.',
  ),
  METHOD_NOT_ALLOWED: entry(
    405,
    'never',
    'This address does not take this method',
    'Use one of those that the header Allow names.',
  ),
  TABLE_UNKNOWN: entry(
    404,
    'never',
    'There is no such table',
    'List the tables with `lastcall tables list`; add one with `lastcall tables add`.',
  ),
  TARGET_UNKNOWN: entry(404, 'never', 'No such target', 'List the targets with `lastcall targets list`.'),
  TARGET_UNREACHABLE: entry(
    503,
    'transient',
    'The target database cannot be used',
    'Check host, user, password and database in its URL; see the cause in the details.',
  ),
  ROW_NOT_FOUND: entry(
    404,
    'never',
    'The table knows nothing of this key',
    'Nothing to do: no site has written it yet, or it was forgotten.',
  ),
  NOT_FOUND: entry(
    404,
    'never',
    'There is nothing at this address',
    'See /v1/openapi.json for what there is.',
  ),
  SITE_UNKNOWN: entry(
    404,
    'never',
    'No such site',
    'List the sites with `lastcall sites list`; add one with `lastcall sites add`.',
  ),
  FAILOVER_NOT_FOUND: entry(
    404,
    'never',
    'No such failover',
    'List the failovers with `lastcall failovers`.',
  ),
  CONFIG_MISSING: entry(
    400,
    'never',
    'No configuration is given and no lab is running here',
    'Name a file with --config or LASTCALL_CONFIG, or start the lab with `npm start`.',
  ),
  API_UNREACHABLE: entry(
    503,
    'transient',
    'The REST API cannot be reached',
    'Check that the api service runs and that api.listen names it.',
  ),
  REQUEST_NOT_KEPT: entry(
    503,
    'transient',
    'Neither PostgreSQL nor Redis could keep the request',
    'Bring one of them back and ask again; see /readyz.',
  ),
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorOptions {
  readonly cause?: unknown;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** An error of the catalogue. Its message is the title with what the details say; never a secret. */
export class LastcallError extends Error {
  override readonly name = 'LastcallError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    super(ERRORS[code].title, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  get retry(): RetryClass {
    return ERRORS[this.code].retry;
  }
}
