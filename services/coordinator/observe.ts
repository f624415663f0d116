/** One round of looks at all sites, and the view they make together. */
import type { SiteView } from '../../shared/domain/decide-resync.ts';
import type { Micros } from '../../shared/domain/micros.ts';
import { isBelow, type ServerIdentity } from '../../shared/domain/server-identity.ts';
import type { SiteFloors } from './site-floors.ts';
import type { HostLink, SiteLink } from './site-link.ts';
import {
  type Bookkeeping,
  type Identity,
  readBeatFaults,
  readBookkeeping,
  readIdentity,
  readSlots,
  type SlotState,
} from './site-state.ts';

export interface HostState {
  readonly host: string;
  /** `left-behind` takes writes as well, but another server was promoted past it (rule 28). */
  readonly state: 'primary' | 'left-behind' | 'standby' | 'unreachable';
  readonly reason?: string;
}

/** A server that takes writes which its site would lose. */
export interface FormerPrimary {
  readonly host: string;
  readonly url: string;
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** Of the newest server of the site that was ever seen. */
  readonly newestTimeline: number;
}

/** A site as seen in one round. `primaryUrl` names the one server that takes writes. */
export interface SiteObservation {
  readonly site: string;
  readonly hosts: readonly HostState[];
  readonly formerPrimaries: readonly FormerPrimary[];
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

/** What answered at the hosts of one site. */
interface Found {
  readonly hosts: readonly HostState[];
  readonly primary: Candidate | null;
  readonly formerPrimaries: readonly FormerPrimary[];
}

const NO_SLOTS: ReadonlyMap<string, SlotState> = new Map();

/**
 * Looks at every site: first all slots, then all positions, then all identities. In another order a direction that
 * streams well could show a slot beyond its position, or a position beyond the log. Believes no server below its site's
 * floor, and raises the floors by what it saw. Never rejects.
 */
export async function observe(
  links: readonly SiteLink[],
  deadlineMs: number,
  floors: SiteFloors,
): Promise<Observations> {
  const found = await Promise.all(
    links.map((link) => findPrimaries(link, deadlineMs, floors.of(link.site).current())),
  );
  const books = await Promise.all(found.map(({ primary }) => lookAt(primary, deadlineMs, readBookkeeping)));
  const identities = await Promise.all(
    found.map(({ primary }, index) =>
      lookAt(primary, deadlineMs, async (connection) => ({
        ...(await readIdentity(connection)),
        beatFaults: await readBeatFaults(connection, beatsOf(links[index]?.site ?? '', links, books)),
      })),
    ),
  );
  const seen = new Map(
    links.map((link, index) => [
      link.site,
      compose(link.site, found[index], books[index] ?? null, identities[index] ?? null),
    ]),
  );
  for (const { site, view, bookkeeping } of seen.values()) {
    if (view.reachable) floors.of(site).raise(view);
    for (const [peer, position] of bookkeeping?.positions ?? []) floors.learn(peer, position);
  }
  return seen;
}

async function findPrimaries(
  site: SiteLink,
  deadlineMs: number,
  floor: ServerIdentity | null,
): Promise<Found> {
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
  const newest = candidates[0] && !isBelow(candidates[0].identity, floor) ? candidates[0].identity : floor;
  const formerPrimaries = candidates.flatMap(({ link, identity }) => {
    if (newest === null || !isBelow(identity, newest)) return [];
    const { systemIdentifier, timeline } = identity;
    const { host, url } = link;
    return [{ host, url, systemIdentifier, timeline, newestTimeline: newest.timeline }];
  });
  const former = new Map(formerPrimaries.map((server) => [server.host, server]));
  return {
    hosts: hosts.map((host) => markFormer(host, former.get(host.host))),
    primary: candidates.find(({ link }) => !former.has(link.host)) ?? null,
    formerPrimaries,
  };
}

function markFormer(host: HostState, former: FormerPrimary | undefined): HostState {
  if (!former) return host;
  const reason = `${host.host} is on timeline ${former.timeline}, and ${former.newestTimeline} was seen`;
  return { host: host.host, state: 'left-behind', reason };
}

/** The last beat of `origin` that each other site has applied. */
function beatsOf(
  origin: string,
  links: readonly SiteLink[],
  books: readonly (Bookkeeping | Error | null)[],
): ReadonlyMap<string, Micros> {
  const applied = new Map<string, Micros>();
  for (const [index, { site }] of links.entries()) {
    const book = books[index];
    const beat = book && !(book instanceof Error) ? book.heartbeats.get(origin) : undefined;
    if (site !== origin && beat !== undefined && Number.isFinite(beat)) applied.set(site, beat);
  }
  return applied;
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
  found: Found | undefined,
  books: Bookkeeping | Error | null,
  identity: Identity | Error | null,
): SiteObservation {
  const hosts = found?.hosts ?? [];
  const primary = found?.primary ?? null;
  const formerPrimaries = found?.formerPrimaries ?? [];
  const fault = books instanceof Error ? books : identity instanceof Error ? identity : null;
  if (!primary || !books || !identity || books instanceof Error || identity instanceof Error) {
    const reason =
      fault?.message ??
      hosts.find(({ state }) => state === 'left-behind')?.reason ??
      (hosts.some(({ state }) => state === 'standby') ? 'no primary' : (hosts[0]?.reason ?? 'no host'));
    return {
      site,
      hosts,
      formerPrimaries,
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
  return {
    site,
    hosts,
    formerPrimaries,
    view,
    primaryUrl: primary.link.url,
    bookkeeping: books,
    slots: primary.slots,
  };
}
