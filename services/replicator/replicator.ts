/** All of one site's incoming directions, its own heartbeat, and the watch over the slots that its peers hold here. */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { isFlowing } from '../../shared/domain/direction-state.ts';
import { NO_LSN } from '../../shared/domain/lsn.ts';
import { renewOwnership } from '../../shared/postgres/replication/owner.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import { ControlWatch } from './control-watch.ts';
import { type Direction, lagMs, newDirection } from './direction.ts';
import type { ReplicatorLog, ReplicatorSettings } from './settings.ts';
import { SitePrimary } from './site-primary.ts';
import { checkServerLimits, SlotGuard } from './slot-guard.ts';
import { SlotWatch } from './slot-watch.ts';
import { writeStatus } from './status-writer.ts';
import { Subscription } from './subscription.ts';
import type { TargetState } from './target-feed.ts';
import { TargetFeeds } from './target-feeds.ts';

export interface ReplicatorOptions {
  readonly site: string;
  /** This site's database as lastcall_replicator. */
  readonly ownUrl: string;
  /** Peer sites' databases as lastcall_peer, by site. */
  readonly peers: Readonly<Record<string, string>>;
  readonly settings: ReplicatorSettings;
  readonly log: ReplicatorLog;
}

interface Running {
  readonly direction: Direction;
  readonly peer: SitePrimary;
  readonly stop: AbortController;
  readonly watch: SlotWatch;
  done: Promise<void>;
}

/** Lag above which a stream counts as catching up. */
const CATCHING_UP_MS = 2_000;
const CATCHING_UP_BYTES = 64 * 1024 ** 2;
const CHECK_MS = 1_000;

export class Replicator {
  readonly #options: ReplicatorOptions;
  readonly #control = new ControlWatch();
  readonly #targets: TargetFeeds;
  readonly #running = new Map<string, Running>();
  readonly #stop = new AbortController();
  readonly #ownerName = `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
  #peers: Readonly<Record<string, string>>;
  readonly #ownSite: SitePrimary;
  #own: Connection | null = null;
  /** Heartbeat and slot check lose it together: the second must not open another beside the first's. */
  #connecting: Promise<Connection> | null = null;
  #loops: Promise<unknown>[] = [];
  #lastBeatAtMs: number | null = null;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    this.#peers = options.peers;
    this.#ownSite = new SitePrimary(options.ownUrl);
    this.#targets = new TargetFeeds({ ...options, own: this.#ownSite });
  }

  get targets(): readonly TargetState[] {
    return this.#targets.states;
  }

  get directions(): readonly Direction[] {
    return [...this.#running.values()].map((running) => running.direction);
  }

  /** Whether this site's database answers: its heartbeat was written lately. */
  get isBeating(): boolean {
    return (
      this.#lastBeatAtMs !== null &&
      performance.now() - this.#lastBeatAtMs < 5 * this.#options.settings.heartbeatMs
    );
  }

  start(): void {
    this.#ownSite.start();
    // The old one takes beats for ever.
    this.#ownSite.onPromotion(() => this.#own?.destroy());
    this.#control.onPeers(() => this.#matchPeers());
    this.#matchPeers();
    this.#loops = [this.#everyHeartbeat(), this.#everySlotCheck()];
    this.#targets.start();
  }

  /** Peers come and go with the configuration; directions that stay are not touched. */
  setPeers(peers: Readonly<Record<string, string>>): void {
    this.#peers = peers;
    this.#matchPeers();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#ownSite.stop();
    for (const running of this.#running.values()) running.stop.abort();
    await this.#targets.stop();
    await Promise.all([...this.#running.values()].map((running) => running.done));
    await Promise.all(this.#loops);
    await this.#writeStatus();
    await this.#own?.close();
  }

  /** A direction runs while the peer is configured; its tables may come later, that is a state of the direction. */
  #matchPeers(): void {
    for (const [peer, running] of this.#running) {
      if (this.#peers[peer] === running.peer.url) continue;
      running.stop.abort();
      running.watch.close();
      this.#loops.push(running.done);
      this.#running.delete(peer);
    }
    for (const [peer, peerUrl] of Object.entries(this.#peers)) {
      if (peer !== this.#options.site && !this.#running.has(peer)) this.#add(peer, peerUrl);
    }
  }

  #add(peer: string, peerUrl: string): void {
    const { site, settings, log } = this.#options;
    const ownSite = this.#ownSite;
    const peerSite = new SitePrimary(peerUrl);
    const direction = newDirection(peer, site);
    const stop = new AbortController();
    const subscription = new Subscription({
      direction,
      own: ownSite,
      peer: peerSite,
      ownerName: this.#ownerName,
      settings,
      control: this.#control,
      log,
      onState: () => {
        log.info(
          { from: peer, state: direction.state, reason: direction.reason, detail: direction.detail },
          'direction',
        );
        void this.#writeStatus();
      },
    });
    const running: Running = {
      direction,
      peer: peerSite,
      stop,
      watch: new SlotWatch(direction, peerSite, settings.slotBudgetBytes),
      done: Promise.resolve(),
    };
    this.#running.set(peer, running);
    peerSite.start();
    stop.signal.addEventListener('abort', () => peerSite.stop(), { once: true });
    peerSite.onPromotion(() => running.watch.close());
    running.done = subscription.run(stop.signal);
    this.#loops.push(this.#everyLook(running));
  }

  /** Beat, control, status: what keeps going while the database answers. */
  async #everyHeartbeat(): Promise<void> {
    const { settings, log } = this.#options;
    let silent = false;
    while (!this.#stop.signal.aborted) {
      try {
        const own = await this.#connectOwn();
        await own.simple('SELECT lastcall.beat()');
        this.#lastBeatAtMs = performance.now();
        await this.#control.refresh(own);
        this.#judgeLag();
        await this.#writeStatus();
        silent = false;
      } catch (cause) {
        if (!silent) log.warn({ err: cause }, "this site's database does not take the heartbeat");
        silent = true;
      }
      await this.#pause(settings.heartbeatMs);
    }
  }

  async #everySlotCheck(): Promise<void> {
    const { settings, log, site } = this.#options;
    let checked = false;
    let collectAtMs = 0;
    const guard = new SlotGuard({ budgetBytes: settings.slotBudgetBytes, log });
    while (!this.#stop.signal.aborted) {
      try {
        const connection = await this.#connectOwn();
        await renewOwnership(connection, this.#ownerName);
        if (!checked) await checkServerLimits(connection, settings.slotBudgetBytes, log);
        checked = true;
        await guard.look(connection);
        if (performance.now() >= collectAtMs) {
          await connection.query('SELECT lastcall.collect_forgotten($1::interval)', [
            `${settings.markRetentionDays} days`,
          ]);
          collectAtMs = performance.now() + 60_000;
        }
      } catch (cause) {
        log.debug({ err: cause, site }, 'slot check failed');
      }
      await this.#pause(CHECK_MS);
    }
  }

  async #everyLook({ watch, stop }: Running): Promise<void> {
    while (!stop.signal.aborted) {
      await watch.look().catch(() => watch.close());
      await delay(CHECK_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
    watch.close();
  }

  /** Streaming or catching up: only the lag tells. */
  #judgeLag(): void {
    for (const direction of this.directions) {
      if (!isFlowing(direction.state)) continue;
      const lag = lagMs(direction, Date.now(), this.#options.settings.heartbeatMs);
      const bytes = Number(direction.currentLsn - direction.appliedLsn);
      // Without a beat yet, or from a peer that writes none, the bytes tell alone.
      const behind =
        direction.currentLsn === NO_LSN || (lag ?? 0) > CATCHING_UP_MS || bytes > CATCHING_UP_BYTES;
      direction.state = behind ? 'catching-up' : 'streaming';
    }
  }

  async #connectOwn(): Promise<Connection> {
    if (this.#own && !this.#own.closed) return this.#own;
    this.#connecting ??= this.#openOwn().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  async #openOwn(): Promise<Connection> {
    this.#own = await this.#ownSite.connect({ applicationName: 'lastcall-replicator' });
    await this.#control.listen(this.#own);
    return this.#own;
  }

  async #writeStatus(): Promise<void> {
    const own = this.#own;
    if (!own || own.closed) return;
    await writeStatus(own, this.directions, this.#options.settings.heartbeatMs).catch((cause: Error) =>
      this.#options.log.debug({ err: cause }, 'status not written'),
    );
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}
