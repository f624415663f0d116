import cluster, { type Worker } from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { AggregatorRegistry } from 'prom-client';
import type { CheckResult, HealthCheck } from '../../shared/runtime/health.ts';
import type { Part } from '../../shared/runtime/lifecycle.ts';
import type { Logger } from '../../shared/runtime/logger.ts';
import type { ProcessState, Reported, Told } from './siblings.ts';

interface Member {
  readonly worker: Worker;
  port: number | null;
}

const ANSWER_MS = 800;
const RESTART_MS = 100;
const RESTART_LONGEST_MS = 5_000;
const CHECKS = ['sip', 'start', 'postgres', 'redis', 'journal'] as const;
const REQUIRED = ['sip', 'start'];

/**
 * Several processes behind the same listeners: forks them, starts one that ended anew, tells each where the others are,
 * and speaks for all of them towards health and metrics. It handles no message itself. One that ends before it ever
 * served makes {@link start} reject: the same would happen again.
 */
export class ProcessGroup implements Part {
  readonly name = 'processes';
  readonly #count: number;
  readonly #log: Logger;
  readonly #key = randomBytes(24).toString('base64url');
  readonly #members: (Member | null)[];
  readonly #asked = new Map<number, (state: ProcessState) => void>();
  #nextId = 0;
  #stopping = false;
  #allServed = false;
  #changed: () => void = () => {};
  #failed: (error: Error) => void = () => {};

  constructor(count: number, log: Logger) {
    this.#count = count;
    this.#log = log;
    this.#members = Array.from({ length: count }, () => null);
  }

  get draining(): boolean {
    return this.#stopping;
  }

  /** Resolves when all of them serve. */
  async start(signal: AbortSignal): Promise<void> {
    const served = new Promise<void>((resolve, reject) => {
      this.#failed = reject;
      this.#changed = () => this.#serving === this.#count && resolve();
    });
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    for (let index = 0; index < this.#count; index++) this.#fork(index);
    await Promise.race([served, aborted]);
    this.#allServed = true;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(
      this.#members.map((member) => {
        if (member === null) return undefined;
        const gone = new Promise((resolve) => member.worker.once('exit', resolve));
        tell(member, { kind: 'stop' });
        return gone;
      }),
    );
  }

  /** What each process says of a check, the worst of all; and how many of them serve. */
  get checks(): Readonly<Record<string, HealthCheck>> {
    const ofAll = CHECKS.map((name) => [
      name,
      { required: REQUIRED.includes(name), check: () => this.#worst(name) },
    ]);
    return { ...Object.fromEntries(ofAll), processes: { required: true, check: () => this.#check() } };
  }

  /** The metrics of all, each with its process's label. */
  readonly metrics = {
    contentType: new AggregatorRegistry().contentType,
    text: async (): Promise<string> => {
      const states = await this.#ask();
      return AggregatorRegistry.aggregate(states.map(({ metrics }) => [...metrics])).metrics();
    },
  };

  get #serving(): number {
    return this.#members.filter((member) => member?.port).length;
  }

  #check(): CheckResult {
    const serving = this.#serving;
    if (serving === this.#count) return { state: 'up' };
    // At the start what is whose still changes with each that joins.
    const state = serving === 0 || !this.#allServed ? 'down' : 'degraded';
    return { state, reason: `${serving} of ${this.#count} serve` };
  }

  /** One that does not answer counts in `processes`. */
  async #worst(name: string): Promise<CheckResult> {
    const results = (await this.#ask()).flatMap(({ readiness }) => readiness.checks[name] ?? []);
    const worst = ['down', 'degraded'].flatMap((state) => results.filter((one) => one.state === state))[0];
    // Whoever serves, serves: a process that is being started anew takes nobody's calls.
    const someUp = REQUIRED.includes(name) && results.some(({ state }) => state === 'up');
    if (results.length === 0) return { state: 'down', reason: 'no process answers' };
    return worst === undefined || someUp ? { state: 'up' } : worst;
  }

  async #ask(): Promise<readonly ProcessState[]> {
    const answers = this.#members.map((member) => (member === null ? null : this.#stateOf(member)));
    return (await Promise.all(answers)).filter((state) => state !== null);
  }

  #stateOf(member: Member): Promise<ProcessState | null> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#asked.delete(id);
        resolve(null);
      }, ANSWER_MS);
      this.#asked.set(id, (state) => {
        clearTimeout(timer);
        this.#asked.delete(id);
        resolve(state);
      });
      tell(member, { kind: 'ask', id });
    });
  }

  #fork(index: number, failures = 0): void {
    if (this.#stopping) return;
    const worker = cluster.fork();
    const member: Member = { worker, port: null };
    this.#members[index] = member;
    worker.on('message', (reported: Reported) => {
      if (reported.kind !== 'joining') return this.#hear(member, reported);
      tell(member, { kind: 'seat', seat: { index, count: this.#count, key: this.#key } });
      this.#tellPorts();
    });
    worker.on('error', (err) => this.#log.warn({ err, process: index }, 'process not reached'));
    worker.once('exit', (code, signal) => {
      this.#members[index] = null;
      this.#tellPorts();
      if (this.#stopping) return;
      if (!this.#allServed) return this.#failed(new Error(`process ${index} ended before it served`));
      this.#log.error({ process: index, code, signal }, 'a process ended and is started anew');
      const again = member.port === null ? failures + 1 : 0;
      setTimeout(
        () => this.#fork(index, again),
        Math.min(RESTART_LONGEST_MS, RESTART_MS * 2 ** Math.min(again, 10)),
      );
    });
  }

  #hear(member: Member, reported: Exclude<Reported, { kind: 'joining' }>): void {
    if (reported.kind === 'serving') {
      member.port = reported.port;
      this.#tellPorts();
      this.#changed();
    } else if (reported.kind === 'state') this.#asked.get(reported.id)?.(reported.state);
    else
      for (const other of this.#members)
        if (other !== null && other !== member) tell(other, { kind: 'guess', guess: reported.guess });
  }

  #tellPorts(): void {
    const ports = this.#members.map((member) => member?.port ?? null);
    for (const member of this.#members) if (member !== null) tell(member, { kind: 'ports', ports });
  }
}

function tell(member: Member, told: Told): void {
  // One that is just ending hears nothing any more; `exit` follows.
  if (member.worker.isConnected()) member.worker.send(told, () => {});
}
