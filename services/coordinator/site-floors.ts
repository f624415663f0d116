import { isBelow } from '../../shared/domain/server-identity.ts';
import type { PrimaryFloor } from '../../shared/postgres/database.ts';
import type { Observations } from './observe.ts';

/** Rule 28: of each site the newest timeline that was ever seen. Nothing below it is believed, however alive it looks. */
export class SiteFloors {
  readonly #floors = new Map<string, PrimaryFloor>();
  readonly #make: (site: string) => PrimaryFloor;

  /** `make` gives a site's memory, which may outlive this process. */
  constructor(make: (site: string) => PrimaryFloor) {
    this.#make = make;
  }

  of(site: string): PrimaryFloor {
    const known = this.#floors.get(site) ?? this.#make(site);
    this.#floors.set(site, known);
    return known;
  }

  /** What this round saw, and what the peers' copies came from: a peer knows of a promotion that nobody here has seen. */
  learn(seen: Observations): void {
    for (const { site, view, bookkeeping } of seen.values()) {
      if (view.reachable) this.of(site).raise(view);
      for (const [peer, position] of bookkeeping?.positions ?? []) {
        const floor = this.of(peer);
        const known = floor.current();
        if (known === null || isBelow(known, position)) floor.raise(position);
      }
    }
  }
}
