import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../../shared/servers/free-port.ts';
import { TEST_CERTIFICATE } from '../../unit/sip/certificate.ts';
import { CallControlProcess } from '../sip-phone-process.ts';
import { CallSites, type Overrides } from '../sip-phone-sites.ts';
import { DOMAIN } from '../site-terminals.ts';
import { Destinations } from './destinations.ts';
import {
  methodOf,
  newBranch,
  newToken,
  type RawHeader,
  rawRequest,
  rawResponse,
  statusOf,
} from './message-text.ts';
import { type RawAddress, RawEnd, type RawTransport } from './raw-end.ts';
import { RawPhone } from './raw-phone.ts';
import { Victim } from './victim.ts';

export type Party = 'alice' | 'bob' | 'victim' | 'neighbour' | 'peer' | 'gateway';

/** Time for what a message set off to reach somebody: it is measured after the server has answered a later one. */
const QUIET_MS = 50;

/**
 * One call-control of site a as a process of its own, with everybody that it may know or not know: two registered phones,
 * a peer site and a gateway (which only listen here), and a victim that nobody named to it.
 */
export class GateWorld {
  readonly sites: CallSites;
  readonly process: CallControlProcess;
  readonly destinations: Destinations;
  readonly victim: Victim;
  /** As the victim, at the phones' own address. */
  readonly neighbour: Victim;
  readonly peer: Victim;
  readonly gateway: Victim;
  readonly ports: Readonly<Record<RawTransport, number>>;
  transport: RawTransport = 'udp';
  alice!: RawPhone;
  bob!: RawPhone;
  stranger!: RawEnd;
  #ends: RawEnd[] = [];
  /** Addresses that the server may write to at any time: who wrote to it. */
  readonly #known = new Set<string>();

  private constructor(
    parts: Pick<
      GateWorld,
      'sites' | 'process' | 'destinations' | 'victim' | 'neighbour' | 'peer' | 'gateway' | 'ports'
    >,
  ) {
    this.sites = parts.sites;
    this.process = parts.process;
    this.destinations = parts.destinations;
    this.victim = parts.victim;
    this.neighbour = parts.neighbour;
    this.peer = parts.peer;
    this.gateway = parts.gateway;
    this.ports = parts.ports;
  }

  /** Terminals 1001 and so on. */
  static async start(overrides: Overrides = {}, terminals = 3): Promise<GateWorld> {
    const sites = await CallSites.start(
      Array.from({ length: terminals }, (_, index) => ({
        terminalId: index + 1,
        number: String(1001 + index),
      })),
    );
    const [victim, neighbour, peer, gateway] = (await Promise.all(
      ['127.0.0.2', '127.0.0.1', '127.0.0.3', '127.0.0.4'].map((host) => Victim.start(host)),
    )) as [Victim, Victim, Victim, Victim];
    for (const refusing of [peer, gateway])
      refusing.onDatagram = (text, answer) => {
        if (methodOf(text) !== '' && methodOf(text) !== 'ACK') answer(rawResponse(text, 486, 'refusing'));
      };
    const [port, tls, ws] = [await freePort(), await freePort(), await freePort()];
    const destinations = await Destinations.watch();
    const process = await CallControlProcess.start(
      sites,
      'a',
      {
        ...overrides,
        peers: { b: { sip: `sip:${peer.address}` } },
        sip: {
          udp: `127.0.0.1:${port}`,
          tcp: `127.0.0.1:${port}`,
          tls: `127.0.0.1:${tls}`,
          ws: `127.0.0.1:${ws}`,
          ...(await certificateFiles()),
          nextHop: `sip:${gateway.address}`,
          ...overrides['sip'],
        },
      },
      { nodeArguments: destinations.nodeArguments, environment: destinations.environment() },
    );
    await process.untilReady();
    const ports = { udp: port, tcp: port, tls, ws };
    return new GateWorld({ sites, process, destinations, victim, neighbour, peer, gateway, ports });
  }

  /** The server's address for a transport. */
  address(transport: RawTransport = this.transport): RawAddress {
    return { host: '127.0.0.1', port: this.ports[transport] };
  }

  /** Everybody anew over this transport, on a server that runs. */
  async settle(transport: RawTransport): Promise<void> {
    this.leave();
    if (!this.process.running) {
      this.process.restart();
      await this.process.untilReady();
    }
    this.transport = transport;
    this.stranger = await this.open();
    this.alice = await this.phone('1001');
    this.bob = await this.phone('1002');
  }

  /** Closes what {@link settle} and the test opened. */
  leave(): void {
    for (const end of this.#ends.splice(0)) end.close();
  }

  async open(transport = this.transport, host = '127.0.0.1'): Promise<RawEnd> {
    const end = await RawEnd.open(transport, this.address(transport), { host });
    this.#ends.push(end);
    this.#known.add(`udp ${end.host}:${end.port}`);
    return end;
  }

  /** A phone that has the only binding of its terminal. */
  async phone(username: string, transport = this.transport): Promise<RawPhone> {
    const phone = new RawPhone(await this.open(transport), { username, server: this.address(transport) });
    for (const answer of [await phone.register('*'), await phone.register()])
      if (statusOf(answer) !== 200) throw new Error(`registration of ${username}: ${answer}`);
    return phone;
  }

  /** A request by somebody without a name; obligatory headers may be replaced. */
  request(
    method: string,
    uri: string,
    headers: readonly RawHeader[] = [],
    { callId = newToken(), end = this.stranger, to = `<sip:1002@${DOMAIN}>` } = {},
  ): { text: string; callId: string } {
    const text = rawRequest({
      method,
      uri,
      via: end.via(newBranch()),
      from: `<sip:stranger@elsewhere.example>;tag=${newToken()}`,
      to,
      callId,
      cseq: 1,
      headers,
    });
    return { text, callId };
  }

  /** From now on nobody but those named by {@link disturbed} may hear anything. */
  begin(): void {
    for (const one of [this.victim, this.neighbour, this.peer, this.gateway]) one.forget();
    this.alice.requests.length = 0;
    this.bob.requests.length = 0;
    this.destinations.forget();
  }

  /** Who heard something since {@link begin} but for `expected`, once everything sent until now has been dealt with. */
  async disturbed(expected: readonly Party[] = []): Promise<string[]> {
    await this.untilServed();
    await delay(QUIET_MS);
    const quiet = (party: Party) => !expected.includes(party);
    const heard: string[] = [];
    for (const party of ['victim', 'neighbour', 'peer', 'gateway'] as const)
      if (quiet(party)) heard.push(...this[party].heard.map((text) => `${party} heard ${firstLine(text)}`));
    for (const party of ['alice', 'bob'] as const)
      if (quiet(party))
        heard.push(...this[party].requests.map((text) => `${party} heard ${firstLine(text)}`));
    return [...heard, ...this.strays(expected).map((line) => `sent to ${line}`)];
  }

  /** Resolves when the server answers a ping on the stranger's own connection: it has read what came before. */
  async untilServed(): Promise<void> {
    const end = this.stranger.closed ? await this.open('udp') : this.stranger;
    const { callId, text } = this.request('OPTIONS', `sip:${DOMAIN}`, [], { end });
    end.send(text);
    await end.final(callId);
  }

  async stop(): Promise<void> {
    this.leave();
    await this.process.stop();
    for (const one of [this.victim, this.neighbour, this.peer, this.gateway]) one.stop();
    await this.sites.stop();
  }

  /** Where the server sent to, other than who wrote to it and its own databases. */
  strays(expected: readonly Party[]): string[] {
    const allowed = new Set(this.#known);
    for (const party of ['peer', 'gateway'] as const)
      if (expected.includes(party)) allowed.add(`udp ${this[party].address}`);
    const own = [this.sites.redis.url, this.sites.databases.a.app].map((url) => `tcp ${hostAndPort(url)}`);
    return this.destinations.lines.filter(
      (line) => !allowed.has(line.replace(' (response)', '')) && !own.includes(line),
    );
  }
}

async function certificateFiles(): Promise<{ certificate: string; key: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'lastcall-gate-'));
  const files = { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  await writeFile(files.certificate, TEST_CERTIFICATE.cert);
  await writeFile(files.key, TEST_CERTIFICATE.key, { mode: 0o600 });
  return files;
}

const firstLine = (text: string): string => text.slice(0, text.indexOf('\r\n')).slice(0, 120);

function hostAndPort(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port}`;
}
