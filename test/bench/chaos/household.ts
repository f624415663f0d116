import type { DemoTerminal } from '../../../services/lab/demo-terminals.ts';
import { SipPhone } from '../../support/sip-phone.ts';
import type { Tally } from './tally.ts';

/** A subscriber with the numbers that its star codes may rightly reach. More than one after a call whose end nobody heard. */
export interface Subscriber {
  readonly terminal: DemoTerminal;
  phone: SipPhone;
  dialed: ReadonlySet<string>;
  missed: ReadonlySet<string>;
}

const FINAL_MS = 8_000;
const BUSY = { status: 486, reason: 'Busy Here' };

/**
 * Three subscribers who call each other in turn, never two calls at once, so that for each of them the freshest number is
 * known exactly: a call to a busy phone is dialed by one and missed by the other.
 */
export class Household {
  readonly members: readonly Subscriber[];
  #turn = 0;

  private constructor(members: readonly Subscriber[]) {
    this.members = members;
  }

  static async settle(terminals: readonly DemoTerminal[], server: string): Promise<Household> {
    const members = await Promise.all(
      terminals.map(async (terminal) => ({
        terminal,
        phone: await busyPhone(terminal, server),
        dialed: new Set<string>(),
        missed: new Set<string>(),
      })),
    );
    return new Household(members);
  }

  /** The phones register at another site, as phones do whose server is gone. */
  async moveTo(server: string): Promise<void> {
    for (const member of this.members) {
      await member.phone.stop();
      member.phone = await busyPhone(member.terminal, server);
    }
  }

  async leave(): Promise<void> {
    await Promise.all(this.members.map(({ phone }) => phone.stop()));
  }

  /** One call: plain, then `*52`, then `*69`, then the next pair. */
  async call(tally: Tally, nowMs: () => number): Promise<void> {
    const turn = this.#turn++;
    const pair = Math.floor(turn / 3);
    const caller = this.#member(pair);
    const callee = this.#member(pair + 1 + (pair % 2));
    if (turn % 3 === 0)
      await this.#dial(tally, nowMs, caller, callee.terminal.number, new Set([callee.terminal.number]));
    else if (turn % 3 === 1) await this.#dial(tally, nowMs, caller, '*52', caller.dialed);
    else await this.#dial(tally, nowMs, callee, '*69', callee.missed);
  }

  async #dial(
    tally: Tally,
    nowMs: () => number,
    caller: Subscriber,
    dialed: string,
    expected: ReadonlySet<string>,
  ): Promise<void> {
    if (expected.size === 0) return;
    const before = this.members.map(({ phone }) => phone.incoming.length);
    tally.calls++;
    const answer = await caller.phone
      .invite(dialed)
      .final(FINAL_MS)
      .catch(() => null);
    const reached = this.members.filter(({ phone }, index) => phone.incoming.length > (before[index] ?? 0));
    const own = caller.terminal.number;
    const said = `${own} dialed ${dialed}: ${answer?.status ?? 'no answer'}, reached ${reached.map(({ terminal }) => terminal.number).join(' ') || 'nobody'}, expected ${[...expected].join(' or ')}`;
    const [target] = reached;
    if (reached.length > 1 || (target && !expected.has(target.terminal.number))) {
      tally.wrong++;
      tally.remarks.push(`wrong: ${said}`);
    } else if (answer?.status === 486 && target) {
      caller.dialed = new Set([target.terminal.number]);
      target.missed = new Set([own]);
      return;
    } else if (answer && (answer.status === 480 || answer.status === 503) && dialed.startsWith('*')) {
      tally.refusedAtMs.push(nowMs());
      tally.remarks.push(`refused: ${said}`);
    } else {
      tally.failedAtMs.push(nowMs());
      tally.remarks.push(`failed: ${said}`);
    }
    this.#mayHaveHappened(caller, expected, target);
  }

  /** A call whose end nobody heard may have been recorded or not. */
  #mayHaveHappened(caller: Subscriber, expected: ReadonlySet<string>, target: Subscriber | undefined): void {
    caller.dialed = new Set([...caller.dialed, ...expected]);
    for (const member of target
      ? [target]
      : this.members.filter(({ terminal }) => expected.has(terminal.number))) {
      member.missed = new Set([...member.missed, caller.terminal.number]);
    }
  }

  #member(index: number): Subscriber {
    return this.members[index % this.members.length] as Subscriber;
  }
}

async function busyPhone({ username, password }: DemoTerminal, server: string): Promise<SipPhone> {
  const phone = await SipPhone.start({ username, password, server });
  phone.behaviour = BUSY;
  // An earlier phone of this subscriber, gone without a word, would be rung in vain for half a minute.
  await phone.unregister();
  for (let attempt = 1; ; attempt++) {
    const answer = await phone
      .register(3600)
      .final(5_000)
      .catch(() => null);
    if (answer?.status === 200) return phone;
    if (attempt === 10) throw new Error(`${username} cannot register: ${answer?.status ?? 'no answer'}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
