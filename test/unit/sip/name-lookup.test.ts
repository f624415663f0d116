import { describe, expect, it } from 'vitest';
import { NameLookup, type NameLookupLimits } from '../../../shared/sip/transport/name-lookup.ts';
import { Resolver } from '../../../shared/sip/transport/resolver.ts';
import { waitFor } from '../../support/wait-for.ts';

/** A name service that answers when told to. */
class NamesUnderTest {
  readonly asked: string[] = [];
  readonly faults: unknown[] = [];
  readonly #answers: { readonly name: string; readonly end: (address: string | Error) => void }[] = [];

  readonly ask = (name: string): Promise<string> => {
    this.asked.push(name);
    return new Promise((resolve, reject) => {
      this.#answers.push({
        name,
        end: (address) => (address instanceof Error ? reject(address) : resolve(address)),
      });
    });
  };

  lookup(limits: Partial<NameLookupLimits> = {}): NameLookup {
    return new NameLookup({ ask: this.ask, limits, onFault: (error) => this.faults.push(error) });
  }

  async answer(address: string | Error): Promise<void> {
    for (const { end } of this.#answers.splice(0)) end(address);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const found = (lookup: NameLookup, name: string): (string | Error)[] => {
  const heard: (string | Error)[] = [];
  lookup.find(name, (each) => heard.push(each));
  return heard;
};

describe('G4 looking names up', () => {
  it('asks once for many who wait, and not again while the answer is fresh', async () => {
    const names = new NamesUnderTest();
    const lookup = names.lookup();
    const heard = Array.from({ length: 50 }, () => found(lookup, 'a.test'));
    await names.answer('192.0.2.1');
    expect(heard.flat()).toEqual(Array.from({ length: 50 }, () => '192.0.2.1'));
    expect(found(lookup, 'a.test')).toEqual(['192.0.2.1']);
    expect(names.asked).toEqual(['a.test']);
  });

  it('remembers for a while what did not resolve', async () => {
    const names = new NamesUnderTest();
    const lookup = names.lookup({ failureCacheMs: 30 });
    const first = found(lookup, 'a.test');
    await names.answer(new Error('ENOTFOUND'));
    expect([first[0], found(lookup, 'a.test')[0]]).toEqual([
      new Error('the name does not resolve'),
      new Error('the name does not resolve'),
    ]);
    expect(names.asked).toHaveLength(1);
    await waitFor(() => found(lookup, 'a.test').length === 0);
    expect(names.asked).toHaveLength(2);
  });

  it('asks a few at once; the others queue, up to a bound', async () => {
    const names = new NamesUnderTest();
    const lookup = names.lookup({ queued: 5 });
    const heard = Array.from({ length: 72_000 }, (_, i) => found(lookup, `${i}.test`));
    expect(names.asked).toHaveLength(3);
    expect(lookup.size).toEqual({ pending: 8, asking: 3, known: 0 });
    expect(heard[72_000 - 1]).toEqual([new Error('too many names wait to be looked up')]);
    await names.answer('192.0.2.1');
    expect(names.asked).toHaveLength(6);
  });

  it('bounds those who wait for one name', () => {
    const lookup = new NamesUnderTest().lookup({ waiting: 2 });
    const heard = Array.from({ length: 3 }, () => found(lookup, 'a.test'));
    expect(heard).toEqual([[], [], [new Error('too many wait for this name')]]);
  });

  it('answers within the deadline, and what never ends keeps its turn only', async () => {
    const names = new NamesUnderTest();
    const lookup = names.lookup({ deadlineMs: 20, atOnce: 1 });
    const heard = ['a.test', 'b.test'].map((name) => found(lookup, name));
    await waitFor(() => heard.every((each) => each.length === 1));
    expect(heard[0]).toEqual([new Error('the name was not resolved in time')]);
    expect([names.asked, lookup.size.pending]).toEqual([['a.test'], 0]);
    await names.answer('192.0.2.1');
    expect(names.asked).toEqual(['a.test']);
    expect(found(lookup, 'a.test')).toEqual(['192.0.2.1']);
  });

  it('keeps so many answers', async () => {
    const names = new NamesUnderTest();
    const lookup = names.lookup({ cachedNames: 2 });
    for (const name of ['a.test', 'b.test', 'c.test']) {
      found(lookup, name);
      await names.answer('192.0.2.1');
    }
    expect(lookup.size.known).toBe(2);
  });

  it('G6 reports what a callback throws, and calls the others', async () => {
    const names = new NamesUnderTest();
    const lookup = names.lookup();
    lookup.find('a.test', () => {
      throw new Error('boom');
    });
    const other = found(lookup, 'a.test');
    await names.answer('192.0.2.1');
    expect([names.faults, other]).toEqual([[new Error('boom')], ['192.0.2.1']]);
  });
});

describe('a resolver', () => {
  it.each(['sip:lastcall.test', 'sip:x@LASTCALL.test.:5070', 'sip:x@h;maddr=lastcall.test', 'sip:a.invalid'])(
    'never looks %s up: it is its own name, or none',
    (uri) => {
      const names = new NamesUnderTest();
      const resolver = new Resolver({ ask: names.ask, ownNames: ['lastcall.test'], onFault: () => {} });
      const heard: unknown[] = [];
      resolver.resolve(uri, (each) => heard.push(each));
      expect([heard[0] instanceof Error, names.asked]).toEqual([true, []]);
    },
  );
});
