import type { GateWorld, Party } from '../../support/raw/gate-world.ts';
import {
  headerOf,
  methodOf,
  newBranch,
  newToken,
  type RawHeader,
  rawResponse,
} from '../../support/raw/message-text.ts';
import type { RawEnd } from '../../support/raw/raw-end.ts';
import type { RawDialog } from '../../support/raw/raw-phone.ts';
import { DOMAIN } from '../../support/site-terminals.ts';
import type { Attack } from './attack.ts';

const at = ({ victim }: GateWorld): string => `sip:x@${victim.address}`;
const along = ({ victim }: GateWorld): string => `<sip:${victim.address};lr>`;

type Bent = Partial<RawDialog> & { readonly headers?: readonly RawHeader[]; readonly end?: RawEnd };
type Bend = (world: GateWorld, dialog: RawDialog) => Bent | Promise<Bent>;

/** The phones talk; then somebody uses what that call's Record-Route gave. */
const ticket = (
  method: string,
  what: string,
  bend: Bend,
  more: Pick<Attack, 'answers' | 'reaches'> = {},
): Attack => ({
  name: `${method} ${what}`,
  ...more,
  run: async (world) => {
    const dialog = await world.alice.call('1002');
    await world.bob.got('ACK', dialog.callId);
    const changes = await bend(world, dialog);
    const end = changes.end ?? world.alice.end;
    const cseq = dialog.cseq + 5;
    world.begin();
    world.alice.inDialog(method, dialog, method === 'ACK' ? changes : { ...changes, cseq });
    return method === 'ACK' ? undefined : end.final(changes.callId ?? dialog.callId, cseq);
  },
});

const silent = (what: string, bend: Bend, reaches: readonly Party[] = []): Attack =>
  ticket('ACK', what, bend, { answers: 'nothing', reaches });

const withTag = (value: string, tag: string): string => value.replace(/;tag=.*/, `;tag=${tag}`);

const tampered = (routes: readonly string[]): string[] =>
  routes.map((value) =>
    value.replace(/sip:([^@]{4})/, (_, four: string) => `sip:${[...four].reverse().join('')}x`),
  );

/** The peer may not be asked either, and the phones' own answers are no harm. */
export const TICKET_ATTACKS: readonly Attack[] = [
  ticket('INVITE', 'to a URI elsewhere with its own ticket', (w) => ({ target: at(w) }), {
    reaches: ['bob'],
    answers: [200, 403, 404, 481],
  }),
  ticket('BYE', 'to a URI elsewhere with its own ticket', (w) => ({ target: at(w) }), {
    reaches: ['bob'],
    answers: [200, 403, 404, 481],
  }),
  ticket(
    'INVITE',
    'to the gateway with its own ticket',
    (w) => ({ target: `sip:0900@${w.gateway.address}` }),
    {
      reaches: ['bob'],
      answers: [200, 403, 404, 481],
    },
  ),
  ticket(
    'REFER',
    'to the peer site with its own ticket',
    (w) => ({
      target: `sip:1003@${w.peer.address}`,
      headers: [['Refer-To', `<sip:1003@${DOMAIN}>`]],
    }),
    { reaches: ['bob'], answers: [200, 202, 403, 404, 481] },
  ),
  ticket(
    'INVITE',
    'with a Route elsewhere after its own ticket',
    (w, d) => ({ routes: [...d.routes, along(w)] }),
    {
      reaches: ['bob'],
      answers: [200, 403, 404, 481],
    },
  ),
  ticket('INVITE', 'with a Route elsewhere before its own ticket', (w, d) => ({
    routes: [along(w), ...d.routes],
  })),
  ticket('INVITE', "with another call's ticket", () => ({ callId: newToken() })),
  ticket('INVITE', 'with its own ticket and another To-tag', (_, d) => ({ to: withTag(d.to, 'another') })),
  ticket('INVITE', 'with its own ticket and another From-tag', (_, d) => ({
    from: withTag(d.from, 'another'),
  })),
  ticket('INVITE', 'with a ticket bent a little', (w, d) => ({ routes: tampered(d.routes), target: at(w) })),
  ticket('INVITE', 'with the ticket of others', (w) => ({ end: w.stranger })),
  ticket('BYE', 'with the ticket of others', (w) => ({ end: w.stranger })),
  ticket('INVITE', 'with the ticket of others, elsewhere', (w) => ({ end: w.stranger, target: at(w) })),
  ticket('UPDATE', 'with the ticket of others, over another transport', async (w) => ({
    end: await w.open(w.transport === 'udp' ? 'tcp' : 'udp'),
  })),
  silent('with the ticket of others', (w) => ({ end: w.stranger })),
  silent('with the ticket of others, elsewhere', (w) => ({ end: w.stranger, target: at(w) })),
  silent('elsewhere with its own ticket', (w) => ({ target: at(w) }), ['bob']),
  silent('with a Route elsewhere after its own ticket', (w, d) => ({ routes: [...d.routes, along(w)] }), [
    'bob',
  ]),
  silent("with another call's ticket", () => ({ callId: newToken() })),
  silent('with a ticket bent a little', (w, d) => ({ routes: tampered(d.routes), target: at(w) })),
  {
    name: 'INVITE with a ticket after BYE',
    run: async (world) => {
      const dialog = await world.alice.call('1002');
      await world.bob.got('ACK', dialog.callId);
      world.alice.inDialog('BYE', dialog);
      await world.alice.end.final(dialog.callId, dialog.cseq + 1);
      world.begin();
      world.alice.inDialog('INVITE', dialog, { cseq: dialog.cseq + 2 });
      return world.alice.end.final(dialog.callId, dialog.cseq + 2);
    },
  },
  {
    name: 'INVITE within a call, as somebody else',
    answers: [200, 403],
    reaches: ['bob'],
    run: async (world) => {
      const dialog = await world.alice.call('1002');
      await world.bob.got('ACK', dialog.callId);
      world.begin();
      const stolen = [
        'P-Asserted-Identity',
        'P-Preferred-Identity',
        'Remote-Party-ID',
        'Diversion',
        'P-Served-User',
      ];
      const forged: RawHeader[] = stolen.map((name) => [name, `<sip:1003@${DOMAIN}>`]);
      world.alice.inDialog('INVITE', dialog, { headers: [...forged, ['X-Lastcall-Sites', 'b']] });
      const answer = await world.alice.end.final(dialog.callId, dialog.cseq + 1);
      const passed = world.bob.requests.filter(
        (text) => text.includes('sip:1003@') || /x-lastcall/i.test(text),
      );
      return passed.length === 0 ? answer : `SIP/2.0 599 passed on: ${passed[0]}`;
    },
  },
  {
    name: "BYE to a callee whose answer's Contact leads elsewhere",
    answers: [200],
    reaches: ['bob'],
    run: async (world) => {
      const { end } = world.bob;
      const own = end.onMessage;
      end.onMessage = (text, source) => {
        if (methodOf(text) !== 'INVITE') own(text, source);
        else end.send(rawResponse(text, 200, 'tag-1002', [['Contact', `<${at(world)}>`]]));
      };
      world.begin();
      const dialog = await world.alice.call('1002');
      world.alice.inDialog('BYE', dialog);
      return world.alice.end.final(dialog.callId, dialog.cseq + 1);
    },
  },
  {
    name: 'BYE to a caller who put a Record-Route of its own into the INVITE',
    answers: [200, 403, 481],
    reaches: ['alice', 'bob'],
    run: async (world) => {
      world.begin();
      const dialog = await world.alice.call('1002', { headers: [['Record-Route', along(world)]] });
      await world.bob.got('INVITE', dialog.callId);
      const called = world.bob.calledIn();
      world.bob.inDialog('BYE', called);
      return world.bob.end.final(dialog.callId, called.cseq + 1);
    },
  },
  {
    name: 'an answer of the callee with another top Via branch',
    answers: 'nothing',
    reaches: ['bob'],
    run: async (world) => {
      world.bob.behaviour = 'silence';
      world.begin();
      const calling = world.alice.invite('1002', { deadlineMs: 1_500 }).catch(() => '');
      const callId = await firstCallId(world);
      const invite = await world.bob.got('INVITE', callId);
      const answer = rawResponse(invite, 200, 'x', [['Contact', `<${at(world)}>`]]);
      const via = `SIP/2.0/UDP ${world.victim.address};branch=${newBranch()}`;
      world.bob.end.send(
        answer
          .replace(/branch=z9hG4bK[^;\r]*/, `branch=${newBranch()}`)
          .replace('\r\nVia: ', `\r\nVia: ${via}\r\nVia: `),
      );
      world.bob.end.send(rawResponse(invite, 486, 'x'));
      await calling;
      return undefined;
    },
  },
];

async function firstCallId(world: GateWorld): Promise<string> {
  for (;;) {
    const invite = world.bob.requests.find((text) => methodOf(text) === 'INVITE');
    if (invite !== undefined) return headerOf(invite, 'Call-ID') ?? '';
    await new Promise((resolve) => setImmediate(resolve));
  }
}
