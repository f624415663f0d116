import { isBelow, type ServerIdentity } from '../../shared/domain/server-identity.ts';
import type { PrimaryFloor } from '../../shared/postgres/database.ts';

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

  /** A peer's copies came from there: it knows of promotions that nobody here has seen. */
  learn(site: string, seen: ServerIdentity): void {
    const floor = this.of(site);
    const known = floor.current();
    if (known === null || isBelow(known, seen)) floor.raise(seen);
  }
}
