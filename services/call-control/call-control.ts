import { systemClock } from '../../shared/runtime/clock.ts';
import type { Config } from '../../shared/runtime/config-schema.ts';
import type { HealthCheck } from '../../shared/runtime/health.ts';
import type { Part } from '../../shared/runtime/lifecycle.ts';
import type { Logger } from '../../shared/runtime/logger.ts';
import { Metrics } from '../../shared/runtime/metrics.ts';
import { Tracer } from '../../shared/runtime/tracing.ts';
import type { Listener } from '../../shared/sip/transport/listener.ts';
import { CallMetrics } from './call-metrics.ts';
import type { Siblings } from './siblings.ts';
import { SipSide } from './sip-side.ts';
import { SiteStores } from './site-stores.ts';
import { StartGate } from './start-gate.ts';

export interface CallControlOptions {
  readonly config: Config;
  readonly log: Logger;
  /** The other processes behind the same listeners; null for one alone. */
  readonly siblings?: Siblings | null;
}

/** The whole service without its process: parts to start in order and to stop in reverse, and what its health says. */
export class CallControl {
  readonly metrics: Metrics;
  readonly #stores: SiteStores;
  readonly #sip: SipSide;
  readonly #tracer: Tracer | null;
  readonly #gate: StartGate;
  readonly #drainSeconds: number;
  #draining = false;

  constructor({ config, log, siblings = null }: CallControlOptions) {
    const process = siblings === null ? {} : { process: String(siblings.seat.index) };
    this.metrics = new Metrics({ site: config.site, ...process });
    const callMetrics = new CallMetrics(this.metrics);
    this.#drainSeconds = config.sip.drainSeconds;
    this.#stores = new SiteStores({ config, log, metrics: this.metrics, callMetrics });
    this.#gate = new StartGate({
      databaseUp: () => this.#stores.database.state.state === 'up',
      databaseTried: () => this.#stores.databaseTried,
      redisUp: () => this.#stores.redis.state.state === 'up',
      copiesHeld: () => this.#stores.copies.holdsAny(),
    });
    this.#tracer = tracerOf(config, log);
    const serving = () => (this.#gate.open ? ('serving' as const) : ('starting' as const));
    this.#sip = new SipSide({
      config,
      log,
      metrics: this.metrics,
      callMetrics,
      stores: this.#stores,
      siblings,
      tracer: this.#tracer,
      state: () => (this.#draining ? 'draining' : serving()),
      opened: (withinMs) => this.#gate.opened(withinMs),
    });
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Bound SIP addresses, once started. */
  get listeners(): readonly Listener[] {
    return this.#sip.listeners;
  }

  get checks(): Readonly<Record<string, HealthCheck>> {
    return {
      sip: { required: true, check: () => this.#sip.check() },
      start: { required: true, check: () => this.#gate.check() },
      ...this.#stores.checks,
    };
  }

  /** Peers whose databases were added or removed while running; whom SIP goes to is as it was at the start. */
  setPeers(peers: Config['peers']): void {
    this.#stores.setPeers(peers);
  }

  get parts(): readonly Part[] {
    return [
      { name: 'stores', start: () => this.#stores.start(), stop: () => this.#stores.stop() },
      { name: 'traces', stop: () => this.#tracer?.stop() },
      { name: 'sip', start: () => this.#sip.start(), stop: () => this.#sip.stop() },
      { name: 'records', stop: () => this.#stores.drain() },
      { name: 'calls', stop: () => this.#sip.drained(AbortSignal.timeout(this.#drainSeconds * 1000)) },
      {
        name: 'dependencies',
        start: (signal) => this.#gate.start(signal),
        stop: () => this.#beginDraining(),
      },
    ];
  }

  #beginDraining(): void {
    this.#draining = true;
    this.#gate.stop();
  }
}

function tracerOf({ site, tracing }: Config, log: Logger): Tracer | null {
  if (tracing.url === null) return null;
  return new Tracer({
    url: tracing.url,
    samplePercent: tracing.samplePercent,
    service: 'call-control',
    site,
    clock: systemClock,
    onError: (err) => log.debug({ err }, 'traces not taken'),
  });
}
