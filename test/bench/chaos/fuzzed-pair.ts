import { setTimeout as delay } from 'node:timers/promises';
import type { GateWorld } from '../../support/raw/gate-world.ts';
import { headerOf, methodOf, newToken, type RawHeader, statusOf } from '../../support/raw/message-text.ts';
import type { RawEnd, RawTransport } from '../../support/raw/raw-end.ts';
import { RawPhone } from '../../support/raw/raw-phone.ts';
import { DOMAIN } from '../../support/site-terminals.ts';

/** Sound messages of these phones that mutations start from: the newest. */
const MOST_SEEDS = 60;
const TALK_MS = 200;

/** Two phones over one transport that call each other without end, while their messages are sent once more, mutated. */
export class FuzzedPair {
  readonly transport: RawTransport;
  readonly seeds: string[] = [];
  /** Calls that went well while the server was being attacked. */
  calls = 0;
  readonly #world: GateWorld;
  readonly #names: readonly [string, string];
  readonly #stop = new AbortController();
  #phones: RawPhone[] = [];
  /** Shows the first phone's credentials without being one of the two. */
  #prover: RawPhone | undefined;
  #challenge = '';
  #running: Promise<void> = Promise.resolve();

  constructor(world: GateWorld, transport: RawTransport, names: readonly [string, string]) {
    this.#world = world;
    this.transport = transport;
    this.#names = names;
  }

  async start(): Promise<void> {
    await this.#register();
    this.#running = this.#live();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** A phone's own end: what it sends comes from where it registered. */
  get ends(): readonly RawEnd[] {
    return this.#phones.map((phone) => phone.end);
  }

  /** A request with credentials that are still good, to be bent afterwards. */
  proven(method: string, uri: string, headers: readonly RawHeader[]): string | undefined {
    const phone = this.#prover;
    if (phone === undefined || this.#challenge === '') return undefined;
    return phone.written(method, uri, [...headers, phone.credentials(this.#challenge, method, uri)]);
  }

  /** Both phones register anew and call each other, with nobody about: throws unless that works. */
  async mustWork(): Promise<void> {
    await this.#register();
    const [alice, bob] = this.#phones as [RawPhone, RawPhone];
    const dialog = await alice.call(bob.username);
    await bob.got('ACK', dialog.callId);
    alice.inDialog('BYE', dialog);
    const bye = await alice.end.final(dialog.callId, dialog.cseq + 1);
    if (statusOf(bye) !== 200) throw new Error(`BYE over ${this.transport}: ${bye}`);
  }

  /** A challenge for the next proven requests. */
  async challenged(): Promise<void> {
    const server = this.#world.address('udp');
    this.#prover ??= new RawPhone(await this.#world.open('udp'), { username: this.#names[0], server });
    const phone = this.#prover;
    const callId = newToken();
    phone.end.send(phone.written('REGISTER', `sip:${DOMAIN}`, [], callId));
    this.#challenge = await phone.end.final(callId, undefined, 2_000).catch(() => '');
  }

  async #register(): Promise<void> {
    for (const phone of this.#phones) phone.stop();
    this.#phones = await Promise.all(this.#names.map((name) => this.#world.phone(name, this.transport)));
    for (const phone of this.#phones) phone.end.onSend = (text) => this.#keep(text);
  }

  #keep(text: string): void {
    this.seeds.push(text);
    if (this.seeds.length > MOST_SEEDS) this.seeds.shift();
  }

  async #live(): Promise<void> {
    for (let turn = 0; !this.#stop.signal.aborted; turn++) {
      try {
        if (this.ends.some((end) => end.closed) || turn % 20 === 19) await this.#register();
        await this.#oneCall(turn);
        this.calls += 1;
      } catch {
        // Its Contact may be gone or its terminal held back: that is what the attack may do to itself.
        await delay(TALK_MS);
      }
    }
  }

  async #oneCall(turn: number): Promise<void> {
    const [alice, bob] = (turn % 2 === 0 ? this.#phones : this.#phones.toReversed()) as [RawPhone, RawPhone];
    const dialog = await alice.call(turn % 5 === 4 ? '*52' : bob.username, { deadlineMs: 4_000 });
    await delay(TALK_MS);
    alice.inDialog(turn % 3 === 0 ? 'UPDATE' : 'INFO', dialog);
    const called = bob.find('INVITE', dialog.callId);
    if (turn % 4 === 0 && called !== undefined && methodOf(called) !== '')
      bob.inDialog('INFO', { ...bob.calledIn(), callId: headerOf(called, 'Call-ID') ?? '' });
    await delay(TALK_MS);
    alice.inDialog('BYE', dialog, { cseq: dialog.cseq + 2 });
    await alice.end.final(dialog.callId, dialog.cseq + 2, 2_000);
  }
}
