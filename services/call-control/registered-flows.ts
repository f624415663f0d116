import type { Location } from '../../shared/redis/location.ts';
import type { Flow } from '../../shared/sip/transport/flow.ts';

/**
 * The connections of this process that phones registered over. One that closes takes its bindings with it at once
 * (RFC 5626 4.2): nobody could call them, and a page that reloads would leave one behind each time.
 */
export class RegisteredFlows {
  readonly #location: Pick<Location, 'change'>;
  readonly #aors = new Map<string, Set<string>>();

  constructor(location: Pick<Location, 'change'>) {
    this.#location = location;
  }

  /** Bounded by the open connections and the terminals that proved themselves on each. */
  async registered(aor: string, { open, reliable, token }: Flow): Promise<void> {
    if (!reliable) return;
    const aors = this.#aors.get(token) ?? new Set();
    this.#aors.set(token, aors.add(aor));
    // Closed while the registration was written down.
    if (!open) await this.closed(token);
  }

  async closed(token: string): Promise<void> {
    const aors = this.#aors.get(token) ?? [];
    this.#aors.delete(token);
    for (const aor of aors) await this.#location.change(aor, { lostFlow: token });
  }
}
