import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ASKERS, type Asker, decide, PLACES, type Place } from '../../../shared/domain/gate.ts';
import { packageRoot } from '../../../shared/runtime/package-root.ts';

/** Columns in the order of `ASKERS`: stranger, terminal, proxy, peer, dialog. */
const TABLE: Readonly<Record<Place, string>> = {
  phone: 'prove go go go 481',
  'peer-site': 'prove go go 404 481',
  gateway: 'prove go go 404 481',
  emergency: 'go go go go 481',
  'star-code': 'prove go go 404 481',
  'dialog-party': 'prove 481 481 481 go',
  route: 'prove 403 go 403 403',
  'foreign-domain': 'prove go go 404 481',
  'this-server': '482 482 482 482 482',
  elsewhere: 'prove 403 403 403 481',
};

const CELLS = PLACES.flatMap((place) =>
  TABLE[place].split(' ').map((expected, column) => [ASKERS[column] as Asker, place, expected] as const),
);

describe('the gate (G1)', () => {
  it.each(CELLS)('G1 %s to %s: %s', (asker, place, expected) => {
    const decision = decide(asker, place, { foreignDomains: 'gateway' });
    expect(decision.kind === 'refuse' ? String(decision.status) : decision.kind).toBe(expected);
  });

  it('G1 every pair is named', () => {
    expect(CELLS).toHaveLength(ASKERS.length * PLACES.length);
  });

  it.each(['terminal', 'proxy'] as const)(
    'G1 %s to another domain is refused unless the gateway takes such calls',
    (asker) => {
      expect(decide(asker, 'foreign-domain', { foreignDomains: 'refuse' })).toEqual({
        kind: 'refuse',
        status: 403,
        reason: 'Domain Not Allowed',
      });
    },
  );

  it('G1 docs/gate.md says the same', () => {
    const page = readFileSync(join(packageRoot(), 'docs/gate.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `([a-z-]+)` \|[^|]*\|(.*)\|$/gm)].map(([, place, cells = '']) => [
      place,
      cells
        .split('|')
        .map((cell) => cell.trim())
        .join(' '),
    ]);
    expect(Object.fromEntries(rows)).toEqual(TABLE);
  });

  it('G1 whoever asks, an address that only the sender names is never reached', () => {
    for (const asker of ASKERS)
      for (const place of ['elsewhere', 'this-server'] as const)
        expect(decide(asker, place, { foreignDomains: 'gateway' }).kind).not.toBe('go');
  });
});
