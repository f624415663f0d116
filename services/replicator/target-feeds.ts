/** The targets of this site's catalog: a feed runs for each, and begins anew when its definition changes. */
import { setTimeout as delay } from 'node:timers/promises';
import { formatLsn, NO_LSN } from '../../shared/domain/lsn.ts';
import {
  dropSlotsOfNoTarget,
  readTargetDefinitions,
  WRITE_TARGET_STATUS,
} from '../../shared/postgres/directions/targets.ts';
import { readKinds } from '../../shared/postgres/kinds/kind.ts';
import type { Connection } from '../../shared/postgres/wire/connection.ts';
import type { ReplicatorLog, ReplicatorSettings } from './settings.ts';
import type { SitePrimary } from './site-primary.ts';
import { type TargetDefinition, TargetFeed, type TargetState } from './target-feed.ts';

export interface TargetFeedsOptions {
  readonly site: string;
  readonly own: SitePrimary;
  readonly settings: ReplicatorSettings;
  readonly log: ReplicatorLog;
}

interface Running {
  readonly state: TargetState;
  readonly definition: string;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

export class TargetFeeds {
  readonly #options: TargetFeedsOptions;
  readonly #running = new Map<string, Running>();
  readonly #stop = new AbortController();
  #own: Connection | null = null;
  #loop: Promise<void> = Promise.resolve();
  /** Rule 28: what reads from the server before begins anew at the promoted one. */
  #promotions = 0;

  constructor(options: TargetFeedsOptions) {
    this.#options = options;
    options.own.onPromotion(() => {
      this.#promotions++;
      this.#own?.destroy();
    });
  }

  get states(): readonly TargetState[] {
    return [...this.#running.values()].map(({ state }) => state);
  }

  start(): void {
    this.#loop = this.#everyLook();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await Promise.all([...this.#running.keys()].map((target) => this.#end(target)));
    await this.#own?.close();
  }

  async #everyLook(): Promise<void> {
    const { settings, log } = this.#options;
    while (!this.#stop.signal.aborted) {
      try {
        await this.#look();
      } catch (cause) {
        log.debug({ err: cause }, 'targets not looked at');
      }
      await delay(settings.heartbeatMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    if (!this.#own || this.#own.closed)
      this.#own = await this.#options.own.connect({ applicationName: 'lastcall-targets' });
    const allKinds = await readKinds(this.#own);
    const stored = await readTargetDefinitions(this.#own);
    const definitions = stored.map(({ kinds, ...rest }): TargetDefinition => {
      return { ...rest, allKinds, kinds: allKinds.filter(({ kind }) => kinds.includes(kind)) };
    });
    for (const target of this.#running.keys())
      if (!definitions.some((each) => each.target === target)) await this.#end(target);
    for (const definition of definitions) await this.#match(definition);
    await dropSlotsOfNoTarget(this.#own);
    if (this.#running.size > 0)
      await this.#own.query(WRITE_TARGET_STATUS, [JSON.stringify(this.states.map(statusRow))]);
  }

  async #match(definition: TargetDefinition): Promise<void> {
    const text = JSON.stringify([definition, this.#promotions]);
    if (this.#running.get(definition.target)?.definition === text) return;
    await this.#end(definition.target);
    const state = newState(definition.target);
    const stop = new AbortController();
    const feed = new TargetFeed({ ...this.#options, definition, state });
    this.#running.set(definition.target, { state, definition: text, stop, done: feed.run(stop.signal) });
  }

  async #end(target: string): Promise<void> {
    const running = this.#running.get(target);
    if (!running) return;
    running.stop.abort();
    await running.done;
    this.#running.delete(target);
  }
}

const newState = (target: string): TargetState => ({
  target,
  state: 'stopped',
  reason: 'starting',
  detail: null,
  lagMs: null,
  appliedLsn: NO_LSN,
  rowsReceived: 0,
  rowsApplied: 0,
});

const statusRow = ({ appliedLsn, ...state }: TargetState) => ({
  target: state.target,
  state: state.state,
  reason: state.reason,
  detail: state.detail,
  lag_ms: state.lagMs,
  applied_lsn: formatLsn(appliedLsn),
  rows_received: state.rowsReceived,
  rows_applied: state.rowsApplied,
});
