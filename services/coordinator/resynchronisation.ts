import { takeOwnership } from '../../shared/postgres/replication/owner.ts';
import { connectToPrimary } from '../../shared/postgres/replication/primary.ts';
import { type ResyncStep, resyncPeer } from '../../shared/postgres/replication/resync.ts';
import type { StepDetail } from './ledger.ts';
import type { Pair } from './pair.ts';
import { fencedOwner, type Plan } from './pair-steps.ts';
import type { CoordinatorSettings } from './settings.ts';

export interface ResynchronisationOptions {
  readonly failover: string;
  readonly settings: CoordinatorSettings;
  readonly signal: AbortSignal;
}

type Milestone = Extract<ResyncStep, 'create-slot' | 'copy'>;

/** A resynchronisation under way, whose parts can be waited for one after the other. */
export class Resynchronisation {
  readonly #pair: Pair;
  readonly #plan: Plan;
  readonly #options: ResynchronisationOptions;
  readonly #stopping = new AbortController();
  readonly #reached = new Map<string, () => void>();
  readonly #milestones = new Map<Milestone, Promise<void>>();
  #result: Promise<StepDetail> | null = null;

  constructor(pair: Pair, plan: Plan, options: ResynchronisationOptions) {
    this.#pair = pair;
    this.#plan = plan;
    this.#options = options;
    for (const name of ['create-slot', 'copy'] as const) {
      this.#milestones.set(name, new Promise((resolve) => this.#reached.set(name, resolve)));
    }
  }

  async start(): Promise<void> {
    const { from, to } = this.#plan;
    const subscriber = await this.#pair.connect(to);
    // Taken again here: a replicator that had not yet read the fence may have taken it since.
    const { epoch } = await takeOwnership(subscriber, from, fencedOwner(this.#options.failover));
    this.#result = this.#copy(epoch);
    this.#result.catch(() => undefined);
  }

  /** Resolves when the part has ended; rejects when the resynchronisation fails before. */
  async reached(milestone: Milestone): Promise<void> {
    await Promise.race([this.#milestones.get(milestone), this.result()]);
  }

  async result(): Promise<StepDetail> {
    if (!this.#result) throw new TypeError('not started');
    return this.#result;
  }

  /** Ends it wherever it is; resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('resynchronisation stopped'));
    await this.#result?.catch(() => undefined);
  }

  async #copy(epoch: bigint): Promise<StepDetail> {
    const { from, to, resync } = this.#plan;
    const { slotLockTimeoutMs } = this.#options.settings;
    const { rows, swapMs } = await resyncPeer({
      site: to,
      peer: from,
      connectSubscriber: (options) => connectToPrimary(this.#pair.url(to), options),
      connectPublisher: (options) => connectToPrimary(this.#pair.url(from), options),
      epoch,
      slotLockTimeoutMs,
      // Who asks for a copy anew may not trust what stands there.
      keepEqual: resync !== 'operator',
      signal: AbortSignal.any([this.#options.signal, this.#stopping.signal]),
      onStep: (step) => this.#reached.get(step)?.(),
    });
    const subscriber = await this.#pair.connect(to);
    await subscriber.query(
      `UPDATE lastcall.replication_control SET resync_requested_at = NULL, resync_reason = NULL
       WHERE peer = $1 AND resync_requested_at IS NOT NULL`,
      [from],
    );
    return { rows, swapMs: Math.round(swapMs) };
  }
}
