import { expect, it } from 'vitest';
import { type Connection, ConnectionTable } from '../../../shared/sip/transport/connections.ts';
import { FakeFlow } from './fake-flow.ts';

class FakeConnection extends FakeFlow implements Connection {
  override readonly token: string;
  readonly activeAt: number;
  readonly partialSince: number | undefined;
  readonly silentSince: number | undefined;
  readonly told: string[] = [];

  constructor(token: string, activeAt: number, partialSince?: number, silentSince?: number) {
    super('tcp');
    this.token = token;
    this.activeAt = activeAt;
    this.partialSince = partialSince;
    this.silentSince = silentSince;
  }

  probe(): void {
    this.told.push('probe');
  }

  destroy(): void {
    this.told.push('destroy');
  }
}

const LIMITS = { idleMs: 900, silentMs: 20, partialMs: 10, probeMs: 30 };

it('a sweep closes what is idle, silent from the start or stuck inside a message and probes what is quiet', () => {
  const table = new ConnectionTable<FakeConnection>(LIMITS);
  const busy = new FakeConnection('busy', 990);
  const quiet = new FakeConnection('quiet', 960);
  const idle = new FakeConnection('idle', 99);
  const stuck = new FakeConnection('stuck', 1_000, 989);
  const silent = new FakeConnection('silent', 1_000, undefined, 979);
  const young = new FakeConnection('young', 1_000, undefined, 981);
  for (const each of [busy, quiet, idle, stuck, silent, young]) table.add(each);
  table.sweep(1_000);
  expect([busy, quiet, idle, stuck, silent, young].map(({ told }) => told[0])).toEqual([
    undefined,
    'probe',
    'destroy',
    'destroy',
    'destroy',
    undefined,
  ]);
});

it('the newest connection from an address answers for it, until it goes', () => {
  const table = new ConnectionTable<FakeConnection>(LIMITS);
  const [old, renewed] = [new FakeConnection('old', 0), new FakeConnection('renewed', 0)];
  table.add(old);
  table.add(renewed);
  table.remove(old);
  expect(table.byRemote('192.0.2.1', 5060)).toBe(renewed);
  expect([table.byToken('old'), table.byToken('renewed')]).toEqual([undefined, renewed]);
  table.remove(renewed);
  expect(table.byRemote('192.0.2.1', 5060)).toBeUndefined();
});
