import { setTimeout as delay } from 'node:timers/promises';
import { SiteProcesses } from '../../shared/redis/site-processes.ts';
import { systemClock } from '../../shared/runtime/clock.ts';
import type { Config } from '../../shared/runtime/config-schema.ts';
import { dialRules, featureCodes, featurePolicy } from '../../shared/runtime/feature-codes.ts';
import type { CheckResult } from '../../shared/runtime/health.ts';
import type { Logger } from '../../shared/runtime/logger.ts';
import type { Metrics } from '../../shared/runtime/metrics.ts';
import type { Tracer } from '../../shared/runtime/tracing.ts';
import { DigestAuthenticator } from '../../shared/sip/digest/authenticator.ts';
import type { DigestAlgorithm, FailedLogin } from '../../shared/sip/digest/types.ts';
import { HepMirror } from '../../shared/sip/hep.ts';
import { StatefulProxy } from '../../shared/sip/proxy/stateful-proxy.ts';
import { SipServer } from '../../shared/sip/server.ts';
import type { Listener } from '../../shared/sip/transport/listener.ts';
import { Admission } from './admission.ts';
import { DRAINING } from './answers.ts';
import { CallForwarding } from './call-forwarding.ts';
import { CallGate } from './call-gate.ts';
import type { CallMetrics } from './call-metrics.ts';
import { CallPlacer } from './call-placer.ts';
import { FeatureAnswers } from './feature-answers.ts';
import { FeatureCalls } from './feature-calls.ts';
import { FlowHandover } from './flow-handover.ts';
import { lostDatagrams } from './lost-datagrams.ts';
import { Overload } from './overload.ts';
import { OwnAddresses } from './own-addresses.ts';
import { RegisteredFlows } from './registered-flows.ts';
import { Registrar } from './registrar.ts';
import { RequestForwarder } from './request-forwarder.ts';
import { RequestHandler } from './request-handler.ts';
import { ReservedPlaces } from './reserved-places.ts';
import { type CallTarget, Router } from './router.ts';
import type { Siblings } from './siblings.ts';
import { sipListeners } from './sip-listeners.ts';
import { exposeSip } from './sip-metrics.ts';
import { SiteMarker } from './site-marker.ts';
import type { SiteStores } from './site-stores.ts';
import { isHandedOver } from './staged-search.ts';
import { TrustedSources } from './trusted-sources.ts';

export interface SipSideOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly callMetrics: CallMetrics;
  readonly stores: SiteStores;
  readonly siblings: Siblings | null;
  /** Null: no call is traced. */
  readonly tracer: Tracer | null;
  readonly state: () => 'serving' | 'starting' | 'draining';
  readonly opened: (withinMs: number) => Promise<void>;
}

/** The SIP half of call-control: listeners, and who handles what comes in on them. */
export class SipSide {
  readonly #server: SipServer;
  readonly #proxy: StatefulProxy;
  readonly #processes: SiteProcesses;
  readonly #sources: TrustedSources;
  readonly #siblings: Siblings | null;
  readonly #overload: Overload;
  readonly #mirror: HepMirror | null;
  #listening = false;

  constructor(options: SipSideOptions) {
    const { config, log, metrics } = options;
    const { sip } = config;
    this.#siblings = options.siblings;
    const flows = new RegisteredFlows(options.stores.location);
    this.#mirror = mirrorOf(config, log);
    this.#server = new SipServer({
      ...(this.#mirror && { mirror: this.#mirror }),
      listeners: sipListeners(config, options.siblings !== null),
      ...(options.siblings !== null && { steering: options.siblings.steering }),
      ownNames: [config.domain],
      connections: {
        maxPerSource: sip.maxConnectionsPerSource,
        isExempt: (address) => this.#sources.has({ remoteAddress: address }),
      },
      keys: options.stores.secrets.keysFor('dialogs'),
      mergedRequests: ['REGISTER'],
      onRequest: (request, transaction) => handler.handle(request, transaction),
      onLate: (request, source, waitedMs) => handler.late(request, source, waitedMs),
      onAck: (ack, source) => handler.acknowledge(ack, source),
      onFlowClosed: (token) => flows.closed(token),
      onFault: ({ error, kind }) => log.warn({ err: error, kind }, 'SIP fault'),
    });
    const proxy = new StatefulProxy({
      server: this.#server,
      isOwn: (host, port) => addresses.isOwn(host, port),
      isTrusted: (flow) => this.#sources.has(flow),
      timerCMs: sip.noAnswerSeconds * 1000,
      dialogLifetimeSeconds: sip.maxDialogSeconds,
    });
    const addresses = new OwnAddresses(this.#server, config.domain);
    this.#proxy = proxy;
    this.#processes = new SiteProcesses({
      redis: options.stores.redis,
      site: config.site,
      self: () => (this.#listening ? addresses.routeUri : ''),
    });
    this.#sources = new TrustedSources(sip.trustedPeers, sip.trustFrom);
    this.#overload = new Overload({
      maxCalls: sip.maxTransactions,
      maxCallsPerSource: sip.maxCallsPerSource,
      maxEventLoopDelayMs: sip.maxEventLoopDelayMs,
      calls: this.#server.pendingInvites,
      lost: () => lostDatagrams(this.#udpPorts()),
    });
    const handler = handlerOf(
      options,
      this.#server,
      proxy,
      addresses,
      this.#sources,
      flows,
      this.#processes,
      this.#overload,
    );
    exposeSip(metrics, this.#server, proxy, this.#overload);
  }

  get listeners(): readonly Listener[] {
    return this.#server.listeners;
  }

  #udpPorts(): number[] {
    const listening = this.#listening ? this.#server.listeners : [];
    return listening.filter(({ transport }) => transport === 'udp').map(({ boundPort }) => boundPort);
  }

  check(): CheckResult {
    return this.#listening ? { state: 'up' } : { state: 'down', reason: 'not listening' };
  }

  async start(): Promise<void> {
    this.#overload.start();
    await this.#server.start();
    await this.#siblings?.listen(this.#server.deliver, (error) => this.#server.faulted(error));
    this.#listening = true;
    this.#processes.start();
  }

  /**
   * Calls in progress have until `signal`; then their callers get 503, what still rings a CANCEL, and their callees a missed
   * call (F14). Resolves when that has been said, with time to say it twice over UDP.
   */
  async drained(signal: AbortSignal): Promise<void> {
    // Calls to phones that registered here go past this process from now on.
    await this.#processes.leave();
    await this.#server.drained(signal);
    // What is still being looked up is told where it would have been forwarded.
    const ended = this.#proxy.close(DRAINING);
    if (ended > 0 || this.#server.transactions.pending > 0) await delay(FAREWELL_MS);
  }

  async stop(): Promise<void> {
    this.#listening = false;
    this.#overload.stop();
    this.#siblings?.stop();
    await this.#server.stop();
    this.#mirror?.stop();
  }
}

/** Two retransmissions of a CANCEL and a final response (RFC 3261 17: after 0.5 and 1.5 s). */
const FAREWELL_MS = 1_600;

/** Wires what decides about a request. */
function handlerOf(
  { callMetrics: metrics, stores, config, log, opened, siblings, state, tracer }: SipSideOptions,
  server: SipServer,
  proxy: StatefulProxy,
  addresses: OwnAddresses,
  sources: TrustedSources,
  flows: RegisteredFlows,
  processes: SiteProcesses,
  overload: Overload,
): RequestHandler {
  const { calls, domain, site, sip } = config;
  const { bans, directory, location, reader, recorder, callRecords, secrets, skew } = stores;
  const handover = new FlowHandover(secrets.keysFor('flows'));
  const digest: DigestAuthenticator = new DigestAuthenticator({
    realm: domain,
    isOwn: (uri) => addresses.isOurs(uri),
    algorithms: sip.digestAlgorithms as readonly DigestAlgorithm[],
    nonceLifetimeMs: sip.nonceLifetimeSeconds * 1000,
    keys: secrets.keysFor('nonces'),
    processMark: siblings?.steering.mark,
    onGuess: (guess) => siblings?.guessed(guess),
    onFailure: (failure) => {
      log.warn(failedLogin(failure), 'login failed');
      if (failure.heldUntilMs !== null) bans.show(() => digest.bans());
    },
  });
  if (siblings !== null) siblings.onGuess = (guess) => digest.heard(guess);
  bans.onLift((nameOrSource) => {
    const lifted = digest.lift(nameOrSource);
    log.info({ nameOrSource, lifted }, 'bans lifted');
    bans.show(() => digest.bans());
  });
  const onChallengeFailed = (reason: string) => metrics.failedLogin(reason);
  const admission = new Admission({ digest, directory, addresses, sources, domain, onChallengeFailed });
  const peers = peerUris(config);
  const { nextHop } = sip;
  const reserved = new ReservedPlaces({ listeners: () => server.listeners, domain, peers, nextHop });
  const gate = new CallGate({ foreignDomains: sip.foreignDomains });
  const marker = new SiteMarker({ site, key: sip.siteKey, now: Date.now });
  const router = new Router({
    domain,
    server,
    location,
    addresses,
    reserved,
    gate,
    marker,
    handover,
    processes,
    peers,
    nextHop,
  });
  const { barredNumbers: barred, emergencyNumbers: emergency } = calls;
  const codes = featureCodes(config);
  const forwarding = new CallForwarding({ addresses, router, directory, codes, barred, emergency });
  const silence = {
    wheel: server.wheel,
    nextStageMs: sip.nextStageSeconds * 1000,
    onUnheard: (target: CallTarget) => {
      if (isHandedOver(target)) processes.unheard(target.nextHop ?? '');
    },
  };
  const placer = new CallPlacer({
    site,
    domain,
    proxy,
    router,
    directory,
    forwarding,
    recorder,
    callRecords,
    metrics,
    dialRules: dialRules(config),
    emergencyNumbers: emergency,
    silence,
  });
  const answers = new FeatureAnswers({ recorder, addresses, metrics, answerWith: calls.eraseAnswer });
  const features = new FeatureCalls({
    codes,
    policy: featurePolicy(config),
    reader,
    placer,
    answers,
    callRecords,
    skew,
    metrics,
    log,
  });
  const bounds = {
    minSeconds: sip.minExpiresSeconds,
    defaultSeconds: sip.defaultExpiresSeconds,
    maxSeconds: sip.maxExpiresSeconds,
  };
  const onRegistered = (result: string) => metrics.registration(result);
  const registrar = new Registrar({
    admission,
    location,
    addresses,
    sources,
    reserved,
    flows,
    bounds,
    onRegistered,
  });
  return new RequestHandler({
    site,
    domain,
    server,
    proxy,
    addresses,
    sources,
    gate,
    marker,
    handover,
    admission,
    registrar,
    placer,
    features,
    featureAnswers: answers,
    callRecords,
    forwarder: new RequestForwarder({ domain, proxy, router, directory, features, addresses, silence }),
    metrics,
    tracer,
    log,
    state,
    opened,
    overload,
  });
}

function mirrorOf({ hep }: Config, log: Logger): HepMirror | null {
  if (hep.server === null) return null;
  const { host, port } = hep.server;
  return new HepMirror({
    ...hep,
    server: { address: host, port },
    clock: systemClock,
    onError: (err) => log.warn({ err }, 'HEP not sent'),
  });
}

/** The fields that fail2ban reads, in the order that docs/operations/fail2ban.md expects. */
function failedLogin({ failures, heldUntilMs, name, reason, source }: FailedLogin) {
  return { source, username: name, reason, failures, heldUntilMs };
}

function peerUris({ peers }: Config): string[] {
  return Object.values(peers).flatMap((peer) => (peer.sip === null ? [] : [peer.sip]));
}
