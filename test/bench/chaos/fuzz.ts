/** Mutated messages through a whole call-control with calls under way, over UDP, TCP, TLS and WebSocket. */
import { parseArgs } from 'node:util';
import { mutated, seededRandom } from '../../sip/fuzz-mutations.ts';
import { GateWorld } from '../../support/raw/gate-world.ts';
import type { RawHeader } from '../../support/raw/message-text.ts';
import type { RawEnd, RawTransport } from '../../support/raw/raw-end.ts';
import { DOMAIN } from '../../support/site-terminals.ts';
import { FuzzedPair } from './fuzzed-pair.ts';

export interface FuzzReport {
  readonly messages: number;
  readonly seconds: number;
  /** Sound calls that went well meanwhile, over each transport. */
  readonly calls: Readonly<Record<string, number>>;
  /** Resident memory in MB: after a tenth of the messages, and at the end. */
  readonly memoryMb: readonly [early: number, late: number];
  /** What must not have been; empty when every bar held. */
  readonly faults: readonly string[];
}

const TRANSPORTS: readonly RawTransport[] = ['udp', 'tcp', 'tls', 'ws'];
/** So many are sent before the server is asked whether it still answers. */
const BURST = 40;
/** Growth of resident memory that a garbage collector may well be behind with. */
const MEMORY_SLACK_MB = 120;

/** `npm run chaos -- fuzz [--messages 500000] [--seed 1]`. Returns whether every bar held. */
export async function chaos(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      messages: { type: 'string', default: '500000' },
      seed: { type: 'string', default: '1' },
      quick: { type: 'boolean', default: false },
    },
  });
  const report = await fuzz({
    messages: values.quick ? 20_000 : Number(values.messages),
    seed: Number(values.seed),
    onProgress: (line) => console.log(line),
  });
  console.log(JSON.stringify(report, null, 2));
  return report.faults.length === 0;
}

export async function fuzz(options: {
  readonly messages: number;
  readonly seed: number;
  readonly onProgress?: (line: string) => void;
}): Promise<FuzzReport> {
  const { messages, onProgress = () => {}, seed } = options;
  const world = await GateWorld.start({}, 2 * TRANSPORTS.length);
  const pairs = TRANSPORTS.map(
    (transport, index) =>
      new FuzzedPair(world, transport, [String(1001 + 2 * index), String(1002 + 2 * index)]),
  );
  const attacker = new Attacker(world, pairs, seed);
  const started = performance.now();
  const faults: string[] = [];
  let early = 0;
  let sent = 0;
  try {
    world.stranger = await world.open('udp');
    for (const pair of pairs) await pair.start();
    for (; sent < messages && world.process.running; sent += BURST) {
      await attacker.burst(sent);
      if (early === 0 && sent >= messages / 10) early = await memoryMb(world);
      if (sent % 20_000 < BURST)
        onProgress(
          `${sent} messages, ${pairs.map(({ calls }) => calls).join('/')} calls, ${await memoryMb(world)} MB`,
        );
    }
    const alive = world.process.running;
    if (!alive) faults.push(`the process ended after ${sent} messages`);
    const late = alive ? await memoryMb(world) : 0;
    if (late - early > MEMORY_SLACK_MB) faults.push(`memory grew from ${early} to ${late} MB`);
    await Promise.all(pairs.map((pair) => pair.stop()));
    for (const pair of alive ? pairs : [])
      await pair
        .mustWork()
        .catch((error: Error) => faults.push(`${pair.transport} afterwards: ${error.message}`));
    faults.push(...attacker.thirdParties());
    return {
      messages: sent,
      seconds: Math.round((performance.now() - started) / 1000),
      calls: Object.fromEntries(pairs.map(({ calls, transport }) => [transport, calls])),
      memoryMb: [early, late],
      faults,
    };
  } finally {
    await Promise.all(pairs.map((pair) => pair.stop()));
    attacker.leave();
    await world.stop();
  }
}

const memoryMb = async (world: GateWorld): Promise<number> =>
  Math.round((await world.process.metric('lastcall_process_resident_memory_bytes')) / 1e6);

/** Sends bursts of mutated messages: from the phones' own addresses and from strangers'. */
class Attacker {
  readonly #world: GateWorld;
  readonly #pairs: readonly FuzzedPair[];
  readonly #random: () => number;
  readonly #strangers = new Map<RawTransport, RawEnd>();
  readonly #places: readonly string[];
  readonly #strays = new Set<string>();

  constructor(world: GateWorld, pairs: readonly FuzzedPair[], seed: number) {
    this.#world = world;
    this.#pairs = pairs;
    this.#random = seededRandom(seed);
    const own = Object.values(world.ports).map((port) => `127.0.0.1:${port}`);
    this.#places = [world.victim.address, world.peer.address, world.gateway.address, DOMAIN, '[', ...own];
  }

  async burst(number: number): Promise<void> {
    const pair = this.#pick(this.#pairs);
    if (pair === undefined) return;
    if (number % (50 * BURST) === 0) await Promise.all(this.#pairs.map((each) => each.challenged()));
    const stranger = await this.#stranger(pair.transport);
    for (let i = 0; i < BURST; i++) {
      const text = this.#bent(pair);
      // A stream that carries nonsense is closed by the server, so the phones' own connections see little of it.
      const rarely = pair.transport === 'udp' ? 0.5 : 0.02;
      const end = this.#random() < rarely ? this.#pick(pair.ends) : stranger;
      end?.send(text);
    }
    await this.#served();
    if (number % (500 * BURST) === 0) this.#collectStrays();
  }

  /** Datagrams, connections and look-ups that were nobody's business. */
  thirdParties(): string[] {
    this.#collectStrays();
    const { victim } = this.#world;
    return [
      ...[...this.#strays].slice(0, 20).map((line) => `sent to a third address: ${line}`),
      ...victim.heard.slice(0, 5).map((text) => `the victim heard ${JSON.stringify(text.slice(0, 300))}`),
    ];
  }

  leave(): void {
    for (const end of this.#strangers.values()) end.close();
  }

  /** A response may go to any port of the address that asked (RFC 3261 18.2.2); a request to nobody new. */
  #collectStrays(): void {
    for (const line of this.#world.strays(['peer', 'gateway']))
      if (!/^udp 127\.0\.0\.1:\d+ \(response\)$/.test(line)) this.#strays.add(line);
    this.#world.destinations.forget();
  }

  #bent(pair: FuzzedPair): string {
    const random = this.#random;
    const proven = random() < 0.3 ? this.#proven(pair) : undefined;
    const seeds = proven === undefined ? pair.seeds : [proven];
    const text = random() < 0.6 ? this.#redirected(this.#pick(seeds) ?? '') : undefined;
    if (text !== undefined && random() < 0.5) return text;
    return mutated(text === undefined ? seeds : [text], random);
  }

  /** Somebody else's address or none in place of one that the message names. */
  #redirected(text: string): string {
    const places = [...text.matchAll(/(?<=[@:/ ])(?:127\.0\.0\.1:\d+|lastcall\.test)/g)];
    const place = this.#pick(places);
    if (place === undefined) return text;
    const by = this.#pick(this.#places) ?? '';
    const parameter = this.#pick([
      '',
      '',
      ';maddr=',
      `;maddr=${this.#world.victim.host}`,
      ';maddr=[',
      ';transport=tcp',
    ]);
    return text.slice(0, place.index) + by + parameter + text.slice(place.index + place[0].length);
  }

  #proven(pair: FuzzedPair): string | undefined {
    const { victim } = this.#world;
    const contact: RawHeader = [
      'Contact',
      `<sip:x@${this.#random() < 0.5 ? victim.address : '127.0.0.1:5062'}>`,
    ];
    const kinds: readonly (readonly [string, string, readonly RawHeader[]])[] = [
      ['REGISTER', `sip:${DOMAIN}`, [contact, ['Expires', '60'], ['Path', `<sip:${victim.address};lr>`]]],
      ['INVITE', `sip:1001@${DOMAIN}`, [contact]],
      ['INVITE', `sip:*69@${DOMAIN}`, [contact]],
      ['MESSAGE', `sip:1003@${DOMAIN}`, [['Route', `<sip:${victim.address};lr>`]]],
      ['INVITE', 'sip:112@lastcall.test', [['P-Asserted-Identity', '<sip:1003@lastcall.test>']]],
    ];
    return pair.proven(...(this.#pick(kinds) ?? ['INVITE', '', []]));
  }

  /** Over UDP, so that a stream full of nonsense does not stand before it. */
  async #served(): Promise<void> {
    if (this.#world.process.running) await this.#world.untilServed().catch(() => undefined);
  }

  async #stranger(transport: RawTransport): Promise<RawEnd> {
    const known = this.#strangers.get(transport);
    if (known !== undefined && !known.closed) return known;
    known?.close();
    const end = await this.#world.open(transport);
    this.#strangers.set(transport, end);
    return end;
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#random() * from.length)];
  }
}
