import { publicationName, slotName } from '../../shared/postgres/replication/publication.ts';
import { readSlot } from '../../shared/postgres/replication/slot-commands.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import type { Direction } from './direction.ts';
import type { SitePrimary } from './site-primary.ts';

/** Looks at this site's slot at the peer and at the peer's WAL, for lag, budget and ETA. One connection, made anew when lost. */
export class SlotWatch {
  readonly #direction: Direction;
  readonly #peer: SitePrimary;
  readonly #budgetBytes: number;
  #connection: Connection | null = null;
  #before: { atMs: number; retainedBytes: number } | null = null;

  constructor(direction: Direction, peer: SitePrimary, budgetBytes: number) {
    this.#direction = direction;
    this.#peer = peer;
    this.#budgetBytes = budgetBytes;
  }

  /** Throws what keeps it from looking; the next look begins anew. */
  async look(): Promise<void> {
    const direction = this.#direction;
    if (!this.#connection || this.#connection.closed) {
      this.#connection = await this.#peer.connect({
        applicationName: `lastcall-watch-${publicationName(direction.from)}`,
      });
    }
    const slot = await readSlot(this.#connection, slotName(direction.to));
    direction.slotBudgetBytes = this.#budgetBytes;
    direction.slotWalStatus = slot?.walStatus ?? null;
    direction.slotRetainedBytes = slot?.retainedBytes ?? null;
    if (!slot) {
      direction.slotEtaSeconds = null;
      this.#before = null;
      return;
    }
    direction.currentLsn = slot.currentLsn;
    const room = Math.min(
      this.#budgetBytes - slot.retainedBytes,
      slot.safeWalBytes ?? Number.POSITIVE_INFINITY,
    );
    const now = { atMs: performance.now(), retainedBytes: slot.retainedBytes };
    const grownBytes = this.#before ? now.retainedBytes - this.#before.retainedBytes : 0;
    const seconds = this.#before ? (now.atMs - this.#before.atMs) / 1000 : 1;
    direction.slotEtaSeconds = grownBytes > 0 ? Math.max(0, room / (grownBytes / seconds)) : null;
    this.#before = now;
  }

  close(): void {
    this.#connection?.destroy();
    this.#connection = null;
  }
}
