import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { GateWorld } from '../support/raw/gate-world.ts';
import { headerOf, statusOf } from '../support/raw/message-text.ts';
import { type Attack, judged } from './gate/attack.ts';
import { PHONE_ATTACKS } from './gate/phone-attacks.ts';
import { STRANGER_ATTACKS } from './gate/stranger-attacks.ts';
import { TICKET_ATTACKS } from './gate/ticket-attacks.ts';

let world: GateWorld;

beforeAll(async () => {
  world = await GateWorld.start();
});
afterAll(() => world.stop());

/** Attacks, and looks who was disturbed and whether the server still stands and serves. */
async function withstands(_name: string, attack: Attack): Promise<void> {
  const answer = await attack.run(world);
  expect(await world.disturbed(attack.reaches), attack.name).toEqual([]);
  expect(judged(attack, answer), answer ?? attack.name).toBe('as it must');
  expect(world.process.running).toBe(true);
}

/** Vitest cuts a `$name` short. */
const named = (attacks: readonly Attack[]) => attacks.map((attack) => [attack.name, attack] as const);

describe.each(['udp', 'tcp', 'ws'] as const)('over %s', (transport) => {
  beforeEach(() => world.settle(transport));
  afterEach(() => world.leave());

  test('G3 an honest call passes: INVITE, ACK, re-INVITE and BYE of either side reach the other', async () => {
    const { alice, bob } = world;
    const dialog = await alice.call('1002');
    await bob.got('ACK', dialog.callId);
    const called = bob.calledIn();
    bob.requests.length = 0;
    alice.inDialog('INVITE', dialog);
    const again = await alice.end.final(dialog.callId, dialog.cseq + 1);
    expect(statusOf(again)).toBe(200);
    alice.inDialog('ACK', { ...dialog, cseq: dialog.cseq + 1 });
    await bob.got('ACK', dialog.callId);
    bob.inDialog('BYE', called);
    expect(statusOf(await bob.end.final(dialog.callId, called.cseq + 1))).toBe(200);
    expect(headerOf(await alice.got('BYE', dialog.callId), 'Call-ID')).toBe(dialog.callId);
  });

  test.each(named(STRANGER_ATTACKS))('G1 nobody hears a stranger: %s', withstands);

  test.each(named(PHONE_ATTACKS))('G1 G2 a phone does not choose the destination: %s', withstands);

  test.each(named(TICKET_ATTACKS))('G3 a ticket serves its own dialog: %s', withstands);
});
