import { describe, expect, it } from 'vitest';
import { isSiteId, siteId } from '../../../shared/domain/site.ts';

describe('a site’s name', () => {
  it.each(['a', 'berlin', 'site_2', 'a123456789012345'])('%s is fine in a table’s name', (text) => {
    expect(siteId(text)).toBe(text);
  });

  it.each([
    '',
    'A',
    '1a',
    'a-b',
    'a b',
    '_a',
    'a1234567890123456',
    'a"; DROP TABLE sites',
    'ä',
    'a\n',
    'all',
    'by_site',
  ])('%j is refused with the expected form', (text) => {
    expect(isSiteId(text)).toBe(false);
    expect(() => siteId(text)).toThrow(/must match \^\[a-z]/);
  });
});
