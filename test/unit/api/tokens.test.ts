import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type Role, Tokens } from '../../../services/api/tokens.ts';

const tokens = new Tokens([
  { token: 'reader-reader-reader', role: 'read' },
  { token: 'record-record-record', role: 'record' },
  { token: 'admin!-admin!-admin!', role: 'admin' },
]);
const TOKEN = { read: 'reader-reader-reader', record: 'record-record-record', admin: 'admin!-admin!-admin!' };
const ROLES: readonly Role[] = ['read', 'record', 'admin'];

describe('bearer tokens', () => {
  it.each(ROLES.flatMap((has, i) => ROLES.map((needed, j) => [has, needed, i >= j] as const)))(
    'role %s where %s is needed: %s',
    (has, needed, allowed) => {
      const attempt = () => tokens.authorize(`Bearer ${TOKEN[has]}`, needed);
      if (allowed) expect(attempt).not.toThrow();
      else expect(attempt).toThrow(expect.objectContaining({ code: 'ROLE_INSUFFICIENT' }));
    },
  );

  it.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Basic cmVhZGVy',
    'reader-reader-reader',
    'Bearer reader-reader-reade',
    'Bearer a b',
  ])('authorization %j is no token', (header) =>
    expect(() => tokens.authorize(header, 'read')).toThrow(
      expect.objectContaining({ code: 'TOKEN_MISSING' }),
    ),
  );

  it('keeps only hashes in memory', () => {
    const held = inspect(tokens, { depth: 9, showHidden: true }) + JSON.stringify(tokens);
    for (const token of Object.values(TOKEN)) expect(held).not.toContain(token);
  });

  it('without any token nobody is let in', () => {
    expect(() => new Tokens([]).authorize('Bearer x', 'read')).toThrow(
      expect.objectContaining({ code: 'TOKEN_MISSING' }),
    );
  });
});
