import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { ERRORS } from '../../../shared/domain/errors.ts';
import { formatTimestamptz, type Micros } from '../../../shared/domain/micros.ts';
import { listTokens, type TokenEntry } from '../../../shared/postgres/tokens.ts';
import type { Config } from '../../../shared/runtime/config.ts';
import { knownSecrets } from '../../../shared/runtime/known-secrets.ts';
import type { Check } from './checks.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

const DAY_MS = 86_400_000;
const SOON_DAYS = 30;

const certificates: Check = {
  name: 'certificates',
  async run(context) {
    const { api, sip } = context.config().config;
    return [
      ...certificateFindings('sip.certificate', sip.certificate, sip.key),
      ...certificateFindings('api.certificate', api.certificate, api.key),
    ];
  },
};

function certificateFindings(check: string, certificate: string | null, key: string | null): Finding[] {
  if (certificate === null) return [];
  try {
    const chain = new X509Certificate(readFileSync(certificate));
    if (key !== null) readFileSync(key);
    return [judgeCertificate(check, Date.parse(chain.validFrom), Date.parse(chain.validTo), Date.now())];
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return [fail(check, said, `Name PEM files that this user can read as ${check} and its key.`)];
  }
}

/** Pure. */
export function judgeCertificate(check: string, fromMs: number, toMs: number, nowMs: number): Finding {
  const days = Math.floor((toMs - nowMs) / DAY_MS);
  const until = new Date(toMs).toISOString().slice(0, 10);
  const remedy = 'Renew it, and restart the services that show it.';
  if (nowMs < fromMs) return fail(check, `it is not valid yet`, 'Set the clock, or use another certificate.');
  if (toMs <= nowMs) return fail(check, `it expired on ${until}`, remedy);
  return days < SOON_DAYS
    ? warn(check, `it expires in ${days} days`, remedy)
    : ok(check, `valid until ${until}`);
}

const fileModes: Check = {
  name: 'file modes',
  async run(context) {
    const { config, file } = context.config();
    const secret = [file, config.sip.key, config.api.key].filter((path) => path !== null);
    return secret.map((path) => judgeMode(path, modeOf(path)));
  },
};

function modeOf(path: string): number | null {
  try {
    return statSync(path).mode & 0o777;
  } catch {
    return null;
  }
}

/** Pure. `mode`: null when there is no such file. */
export function judgeMode(path: string, mode: number | null): Finding {
  if (mode === null) return fail('file modes', `${path} cannot be read`, 'Correct its path or its owner.');
  const shown = mode.toString(8).padStart(4, '0');
  if ((mode & 0o007) !== 0)
    return warn(
      'file modes',
      `${path} is ${shown}: every user of this machine can read its secrets`,
      `chmod o-rwx ${path}`,
    );
  return ok('file modes', `${path} is ${shown}`);
}

const secrets: Check = {
  name: 'secrets',
  async run(context) {
    const known = knownSecrets(context.config().config);
    if (known.length === 0) return [ok('secrets', 'none that everybody knows')];
    return known.map(({ fault, path }) => fail('secrets', `${path}: ${fault}`, 'Replace it.'));
  },
};

const tokens: Check = {
  name: 'tokens',
  async run(context) {
    const { config } = context.config();
    return judgeTokens(config.api.tokens, await listTokens(await context.database()), Date.now());
  },
};

/** Pure. */
export function judgeTokens(
  configured: Config['api']['tokens'],
  stored: readonly TokenEntry[],
  nowMs: number,
): Finding[] {
  const short = configured.filter(({ token }) => token.length < 24).length;
  const findings: Finding[] = [];
  if (short > 0)
    findings.push(
      warn(
        'tokens',
        `${short} of api.tokens are shorter than 24 characters`,
        'Use `lastcall tokens add` instead.',
      ),
    );
  for (const { expiresAt, name, oneTime, role } of stored) {
    if (oneTime) continue;
    const remedy = `See \`lastcall tokens list\`; make another one and revoke ${name}.`;
    if (expiresAt === null && role === 'admin')
      findings.push(warn('tokens', `the admin token ${name} never expires`, remedy));
    else if (expiresAt !== null && expiresAt / 1000 - nowMs < 7 * DAY_MS && !name.startsWith('console-'))
      findings.push(warn('tokens', `${name} expires at ${formatTimestamptz(expiresAt)}`, remedy));
  }
  return findings.length > 0
    ? findings
    : [ok('tokens', `${configured.length} configured, ${stored.length} in PostgreSQL`)];
}

const versions: Check = {
  name: 'versions',
  async run(context) {
    const database = await context.database();
    const [row] = await database.query<{ version: number }>(
      `SELECT current_setting('server_version_num')::integer AS version`,
    );
    return [judgeNode(process.versions.node), judgePostgres(row?.version ?? 0)];
  },
};

export function judgeNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const enough = major > 20 || (major === 20 && minor >= 19);
  return enough
    ? ok('versions', `Node.js ${version}`)
    : fail('versions', `Node.js ${version}`, 'Use 20.19 or newer.');
}

export function judgePostgres(version: number): Finding {
  const detail = `PostgreSQL ${Math.floor(version / 10_000)}.${version % 10_000}`;
  if (version < 150_000) return fail('versions', detail, 'Use PostgreSQL 15 to 18.');
  return version >= 190_000 ? warn('versions', detail, 'Tested are 15 to 18.') : ok('versions', detail);
}

/** What `lastcall init` grants, by the relation that each service cannot do without. */
const GRANTS = [
  ['lastcall_app', 'lastcalls', 'INSERT'],
  ['lastcall_app', 'terminals', 'INSERT'],
  ['lastcall_app', 'api_tokens', 'SELECT'],
  ['lastcall_app', 'audit_log', 'INSERT'],
  ['lastcall_replicator', 'replication_position', 'UPDATE'],
  ['lastcall_coordinator', 'failovers', 'INSERT'],
  ['lastcall_coordinator', 'leases', 'UPDATE'],
] as const;

const grants: Check = {
  name: 'grants',
  async run(context) {
    const database = await context.database();
    const missing = await database.query<{ grantee: string; relation: string; privilege: string }>(
      `SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS g (grantee, relation, privilege)
         WHERE NOT coalesce(has_table_privilege(grantee, to_regclass('lastcall.' || relation), privilege), false)`,
      [
        GRANTS.map(([role]) => role),
        GRANTS.map(([, relation]) => relation),
        GRANTS.map(([, , privilege]) => privilege),
      ],
    );
    if (missing.length === 0) return [ok('grants', 'every role has what its service needs')];
    const { remedy } = ERRORS.DATABASE_PERMISSION_DENIED;
    return missing.map((g) =>
      fail('grants', `${g.grantee} has no ${g.privilege} on lastcall.${g.relation}`, remedy),
    );
  },
};

const workers: Check = {
  name: 'workers',
  async run(context) {
    const database = await context.database();
    const rows = await database.query<{ name: string; holder: string; live: boolean; expiresAt: Micros }>(
      `SELECT name, holder, lastcall.is_live(l) AS live, expires_at AS "expiresAt" FROM lastcall.leases l WHERE expires_at > '-infinity' ORDER BY name`,
    );
    return rows.map(({ expiresAt, holder, live, name }) =>
      live
        ? ok('workers', `${name}: ${holder}`)
        : warn(
            'workers',
            `${name}: ${holder} is gone since ${formatTimestamptz(expiresAt)}`,
            'Start a coordinator at this site or another one; it goes on from there.',
          ),
    );
  },
};

export const localChecks: readonly Check[] = [
  certificates,
  fileModes,
  secrets,
  tokens,
  versions,
  grants,
  workers,
];
