/**
 * Which flow may work on which sites (rule 32): a row in the database of every site concerned, live for seconds by that
 * server's clock. Any coordinator may run a flow, one does.
 *
 * Invariant: what a flow does at a site comes after a check of its epoch there, on a session that the next holder ends
 * when it takes the lease. So a holder that was frozen or cut off finds nothing to act with when it is back.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { clientUrl } from '../../shared/postgres/client-url.ts';
import { hostLabel } from '../../shared/postgres/find-primary.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';

/** Somebody else works on one of the sites. */
export class LeaseTaken extends Error {
  override readonly name = 'LeaseTaken';
  readonly site: string;

  constructor(site: string) {
    super(`another failover works on site ${site}`);
    this.site = site;
  }
}

/** It was ours and may be somebody else's by now. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/** The one lease of a site's database that all flows ask for. */
export const FLOW_LEASE = 'failover';
/** `application_name` of the sessions that a flow works on; those of a resynchronisation have their own. */
export const FLOW_SESSION = 'lastcall-failover';

const RENEWALS = 4;
const ASK_LIMIT_MS = 3_000;
const END_LIMIT_MS = 500;

export interface LeaseOptions {
  /** The failover, and who works on it. */
  readonly failover: string;
  readonly worker: string;
  readonly leaseMs: number;
}

interface Held {
  readonly site: string;
  readonly url: string;
  readonly epoch: string;
  client: pg.Client | null;
  /** Of this process's monotonic clock, never later than the server's own end of the lease. */
  endsAtMs: number;
}

/** Throws `LeaseTaken`, or what `pg` throws; then nothing is held. Sites are asked in the order of their names. */
export async function takeLease(sites: ReadonlyMap<string, string>, options: LeaseOptions): Promise<Lease> {
  const held: Held[] = [];
  try {
    for (const [site, url] of [...sites].sort(([x], [y]) => (x < y ? -1 : 1))) {
      held.push(await takeAt(site, url, options));
    }
  } catch (cause) {
    await Promise.all(held.map(releaseAt));
    throw cause;
  }
  return new Lease(held, options);
}

export class Lease {
  /** Unique to this taking: what a flow writes down is refused when another one has taken the lease since. */
  readonly holder: string;
  readonly #held: readonly Held[];
  readonly #leaseMs: number;
  readonly #lost = new AbortController();
  readonly #releasing = new AbortController();
  readonly #renewing: Promise<unknown>;

  constructor(held: readonly Held[], options: LeaseOptions) {
    this.#held = held;
    this.#leaseMs = options.leaseMs;
    this.holder = holderOf(options);
    this.#renewing = Promise.all(held.map((one) => this.#keep(one)));
  }

  /** Aborted when the lease may be somebody else's. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Throws `LeaseLost` once the time has passed, though no timer has fired: the process may just have been woken. */
  assertHeld(): void {
    this.#lost.signal.throwIfAborted();
    const ended = this.#held.find(({ endsAtMs }) => performance.now() >= endsAtMs);
    if (ended) this.#lose(ended);
    this.#lost.signal.throwIfAborted();
  }

  /** The server's own word, on the session that is about to act there. Throws `LeaseLost` or what the server says. */
  async requireAt(site: string, connection: Connection): Promise<void> {
    const one = this.#held.find((candidate) => candidate.site === site);
    if (!one) throw new LeaseLost(`site ${site} was not there when the lease was taken`);
    await connection.query('SELECT lastcall.require_lease($1, $2::bigint)', [FLOW_LEASE, one.epoch]);
    this.assertHeld();
  }

  async release(): Promise<void> {
    this.#releasing.abort();
    await this.#renewing;
    await Promise.all(this.#held.map(releaseAt));
  }

  /** A connection that broke is not a lease that is lost: it is renewed on another one while its time lasts. */
  async #keep(one: Held): Promise<void> {
    const ended = AbortSignal.any([this.#releasing.signal, this.#lost.signal]);
    while (!ended.aborted) {
      await delay(this.#leaseMs / RENEWALS, undefined, { signal: ended }).catch(() => undefined);
      if (ended.aborted) return;
      const renewed = await this.#renew(one).catch(() => null);
      if (renewed === false || performance.now() >= one.endsAtMs) this.#lose(one);
    }
  }

  async #renew(one: Held): Promise<boolean> {
    const askedAtMs = performance.now();
    one.client ??= await connect(one.url, () => {
      one.client = null;
    });
    const { rows } = await one.client
      .query<{ held: boolean }>('SELECT lastcall.renew_lease($1, $2::bigint, $3) AS held', [
        FLOW_LEASE,
        one.epoch,
        this.#leaseMs / 1000,
      ])
      .catch((cause: unknown) => {
        one.client?.end().catch(() => undefined);
        one.client = null;
        throw cause;
      });
    if (rows[0]?.held) one.endsAtMs = askedAtMs + this.#leaseMs;
    return rows[0]?.held ?? false;
  }

  #lose({ site, url }: Held): void {
    this.#lost.abort(new LeaseLost(`lost the lease of site ${site} at ${hostLabel(url)}`));
  }
}

const holderOf = ({ failover, worker }: LeaseOptions): string => `${failover} ${worker}`;

async function takeAt(site: string, url: string, options: LeaseOptions): Promise<Held> {
  const held: Held = { site, url, epoch: '', client: null, endsAtMs: performance.now() + options.leaseMs };
  const client = await connect(url, () => {
    held.client = null;
  });
  try {
    const { rows } = await client.query<{ epoch: string | null }>(
      'SELECT lastcall.take_lease($1, $2, $3)::text AS epoch',
      [FLOW_LEASE, holderOf(options), options.leaseMs / 1000],
    );
    const epoch = rows[0]?.epoch ?? null;
    if (epoch === null) throw new LeaseTaken(site);
    // One flow works at a server: whatever sessions of flows stand here are an earlier holder's.
    await client.query(
      `SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user
         AND (application_name = $1 OR application_name LIKE 'lastcall-resync-%')`,
      [FLOW_SESSION],
    );
    return Object.assign(held, { epoch, client });
  } catch (cause) {
    await client.end().catch(() => undefined);
    throw cause;
  }
}

async function releaseAt(one: Held): Promise<void> {
  const { client, epoch } = one;
  if (!client) return;
  await client
    .query('SELECT lastcall.release_lease($1, $2::bigint)', [FLOW_LEASE, epoch])
    .catch(() => undefined);
  // A connection that nobody answers on any more would never end.
  await Promise.race([client.end().catch(() => undefined), delay(END_LIMIT_MS, undefined, { ref: false })]);
}

async function connect(url: string, onLost: () => void): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: clientUrl(url),
    application_name: 'lastcall-coordinator-lease',
    connectionTimeoutMillis: ASK_LIMIT_MS,
    query_timeout: ASK_LIMIT_MS,
    keepAlive: true,
  });
  client.on('error', onLost);
  client.on('end', onLost);
  await client.connect();
  return client;
}
