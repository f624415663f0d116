/** What operators and the coordinator ask of the directions: `replication_control`, by NOTIFY and a poll each second. */
import { EventEmitter } from 'node:events';
import type { Connection } from '../../shared/postgres/wire/connection.ts';

export interface Control {
  readonly paused: boolean;
  /** As PostgreSQL spells it; answers the question whether the request at hand is the one seen before. */
  readonly resyncRequestedAt: string | null;
  readonly resyncReason: string | null;
  readonly fencedBy: string | null;
}

const NOTHING: Control = { paused: false, resyncRequestedAt: null, resyncReason: null, fencedBy: null };

export class ControlWatch {
  readonly #controls = new Map<string, Control>();
  readonly #sites = new Set<string>();
  #kinds: string | null = null;
  readonly #changes = new EventEmitter().setMaxListeners(0);

  get(peer: string): Control {
    return this.#controls.get(peer) ?? NOTHING;
  }

  /** The peers whose copies this database has. */
  get peers(): ReadonlySet<string> {
    return this.#sites;
  }

  /** Calls back on each change of the peer's control row or of the kinds here, until the returned function is called. */
  onChange(peer: string, listener: () => void): () => void {
    this.#changes.on(peer, listener);
    return () => this.#changes.off(peer, listener);
  }

  onPeers(listener: () => void): void {
    this.#changes.on('', listener);
  }

  async listen(connection: Connection): Promise<void> {
    connection.onNotification = () => void this.refresh(connection).catch(() => undefined);
    await connection.simple('LISTEN lastcall_replication');
    await this.refresh(connection);
  }

  async refresh(connection: Connection): Promise<void> {
    const [sites, controls, kinds] = await connection.simple(
      `SELECT site FROM lastcall.sites WHERE NOT own;
       SELECT peer, paused, resync_requested_at, resync_reason, fenced_by FROM lastcall.replication_control;
       SELECT string_agg(kind || '/' || epoch, ' ' ORDER BY kind) AS kinds FROM lastcall.kinds`,
    );
    for (const row of controls?.rows ?? []) {
      this.#take(row['peer'] ?? '', {
        paused: row['paused'] === 't',
        resyncRequestedAt: row['resync_requested_at'] ?? null,
        resyncReason: row['resync_reason'] ?? null,
        fencedBy: row['fenced_by'] ?? null,
      });
    }
    const found = new Set((controls?.rows ?? []).map((row) => row['peer'] ?? ''));
    for (const peer of this.#controls.keys()) if (!found.has(peer)) this.#take(peer, NOTHING);
    const before = this.#sites.size;
    for (const row of sites?.rows ?? []) this.#sites.add(row['site'] ?? '');
    if (this.#sites.size !== before) this.#changes.emit('');
    this.#takeKinds(kinds?.rows[0]?.['kinds'] ?? '');
  }

  /** A kind that came, changed or went here is every direction's concern. */
  #takeKinds(kinds: string): void {
    const before = this.#kinds;
    this.#kinds = kinds;
    if (before !== null && before !== kinds) for (const peer of this.#sites) this.#changes.emit(peer);
  }

  #take(peer: string, control: Control): void {
    const before = JSON.stringify(this.get(peer));
    this.#controls.set(peer, control);
    if (JSON.stringify(control) !== before) this.#changes.emit(peer);
  }
}
