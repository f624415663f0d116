/** One round of looks at all sites, and the view they make together. */
import type { SiteView } from '../../shared/domain/decide-resync.ts';
import type { HostLink, SiteLink } from './site-link.ts';
import {
  type Bookkeeping,
  type Identity,
  readBookkeeping,
  readIdentity,
  readSlots,
  type SlotState,
} from './site-state.ts';

export interface HostState {
  readonly host: string;
  readonly state: 'primary' | 'standby' | 'unreachable';
  readonly reason?: string;
}

/** A site as seen in one round. `primaryUrl` names the one server that takes writes. */
export interface SiteObservation {
  readonly site: string;
  readonly hosts: readonly HostState[];
  readonly view: SiteView;
  readonly primaryUrl: string | null;
  readonly bookkeeping: Bookkeeping | null;
  readonly slots: ReadonlyMap<string, SlotState>;
}

export type Observations = ReadonlyMap<string, SiteObservation>;

interface Candidate {
  readonly link: HostLink;
  readonly slots: ReadonlyMap<string, SlotState>;
  readonly identity: Identity;
}

const NO_SLOTS: ReadonlyMap<string, SlotState> = new Map();

/**
 * Looks at every site: first all slots, then all positions, then all identities. In another order a direction that
 * streams well could show a slot beyond its position, or a position beyond the log. Never rejects.
 */
export async function observe(links: readonly SiteLink[], deadlineMs: number): Promise<Observations> {
  const found = await Promise.all(links.map((link) => findPrimaries(link, deadlineMs)));
  const books = await Promise.all(found.map(({ primary }) => lookAt(primary, deadlineMs, readBookkeeping)));
  const identities = await Promise.all(found.map(({ primary }) => lookAt(primary, deadlineMs, readIdentity)));
  return new Map(
    links.map((link, index) => [
      link.site,
      compose(link.site, found[index], books[index] ?? null, identities[index] ?? null),
    ]),
  );
}

async function findPrimaries(
  site: SiteLink,
  deadlineMs: number,
): Promise<{ hosts: HostState[]; primary: Candidate | null }> {
  const candidates: Candidate[] = [];
  const hosts = await Promise.all(
    site.hosts.map(async (link): Promise<HostState> => {
      try {
        const seen = await link.look(deadlineMs, async (connection) => {
          const slots = await readSlots(connection);
          return slots && { link, slots, identity: await readIdentity(connection) };
        });
        if (!seen) return { host: link.host, state: 'standby' };
        candidates.push(seen);
        return { host: link.host, state: 'primary' };
      } catch (cause) {
        return {
          host: link.host,
          state: 'unreachable',
          reason: cause instanceof Error ? cause.message : String(cause),
        };
      }
    }),
  );
  // Of two servers that take writes, the one on the newer timeline was promoted; the other was not told yet.
  candidates.sort((a, b) => b.identity.timeline - a.identity.timeline);
  return { hosts, primary: candidates[0] ?? null };
}

async function lookAt<T>(
  primary: Candidate | null,
  deadlineMs: number,
  read: (connection: Parameters<typeof readBookkeeping>[0]) => Promise<T>,
): Promise<T | Error | null> {
  if (!primary) return null;
  return primary.link
    .look(deadlineMs, read)
    .catch((cause: unknown) => (cause instanceof Error ? cause : new Error(String(cause))));
}

function compose(
  site: string,
  found: { hosts: HostState[]; primary: Candidate | null } | undefined,
  books: Bookkeeping | Error | null,
  identity: Identity | Error | null,
): SiteObservation {
  const hosts = found?.hosts ?? [];
  const primary = found?.primary ?? null;
  const fault = books instanceof Error ? books : identity instanceof Error ? identity : null;
  if (!primary || !books || !identity || books instanceof Error || identity instanceof Error) {
    const reason =
      fault?.message ??
      (hosts.some(({ state }) => state === 'standby') ? 'no primary' : (hosts[0]?.reason ?? 'no host'));
    return {
      site,
      hosts,
      view: { site, reachable: false, reason },
      primaryUrl: null,
      bookkeeping: null,
      slots: NO_SLOTS,
    };
  }
  const { positions, resyncRequested, fencedBy } = books;
  const view: SiteView = {
    site,
    reachable: true,
    inRecovery: false,
    ...identity,
    slots: primary.slots,
    positions,
    resyncRequested,
    fencedBy,
  };
  return { site, hosts, view, primaryUrl: primary.link.url, bookkeeping: books, slots: primary.slots };
}
