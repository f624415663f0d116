import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type TokenStore, Tokens } from '../../../services/api/tokens.ts';
import { micros } from '../../../shared/domain/micros.ts';
import { ROLES } from '../../../shared/domain/role.ts';
import { hashOf, type KnownToken } from '../../../shared/postgres/tokens.ts';

const TOKEN = { read: 'reader-reader-reader', record: 'record-record-record', admin: 'admin!-admin!-admin!' };
const CONFIGURED = ROLES.map((role) => ({ token: TOKEN[role], role }));
const NOW = micros(1_000_000);
const tokens = new Tokens(CONFIGURED, () => NOW);
const stored = (name: string, expiresAt: number | null): KnownToken => ({
  name,
  role: 'read',
  hash: hashOf(name),
  expiresAt: expiresAt === null ? null : micros(expiresAt),
});
const store = (read: TokenStore['read']): TokenStore => ({ read, noteUsed: async () => {} });

describe('bearer tokens', () => {
  it.each(ROLES.flatMap((has, i) => ROLES.map((needed, j) => [has, needed, i >= j] as const)))(
    'role %s where %s is needed: %s',
    async (has, needed, allowed) => {
      const principal = await tokens.identify(`Bearer ${TOKEN[has]}`);
      const attempt = () => Tokens.permit(principal, needed);
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
  ])('authorization %j is no token', async (header) => {
    const principal = await tokens.identify(header);
    expect(() => Tokens.permit(principal, 'read')).toThrow(
      expect.objectContaining({ code: 'TOKEN_MISSING' }),
    );
  });

  it('keeps only hashes in memory', () => {
    const held = inspect(tokens, { depth: 9, showHidden: true }) + JSON.stringify(tokens);
    for (const token of Object.values(TOKEN)) expect(held).not.toContain(token);
  });

  it('without any token nobody is let in', async () => {
    expect(await new Tokens([], () => NOW).identify('Bearer x')).toBeNull();
  });
});

describe('tokens in PostgreSQL', () => {
  it('one that is not known yet is read at once, also while another reading is under way', async () => {
    const there: KnownToken[] = [];
    const late = new Tokens(
      [],
      () => NOW,
      store(async () => [...there]),
    );
    const early = late.identify('Bearer new-token');
    there.push(stored('new-token', null));
    expect(await late.identify('Bearer new-token')).toMatchObject({ name: 'new-token' });
    await early;
  });

  it('one that has expired is none, whenever it was read', async () => {
    let now = 10;
    const clock = () => micros(now);
    const expiring = new Tokens(
      [],
      clock,
      store(async () => [stored('short-lived', 20)]),
    );
    expect(await expiring.identify('Bearer short-lived')).not.toBeNull();
    now = 20;
    expect(await expiring.identify('Bearer short-lived')).toBeNull();
  });

  it('while PostgreSQL is away what was read last counts; before any reading nobody can tell', async () => {
    let away = true;
    const read = async () => {
      if (away) throw new Error('away');
      return [stored('pbx-token', null)];
    };
    const known = new Tokens([], () => NOW, store(read));
    await expect(known.identify('Bearer pbx-token')).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' });
    away = false;
    await known.refresh();
    away = true;
    expect(await known.identify('Bearer pbx-token')).toMatchObject({ name: 'pbx-token' });
    expect(await known.identify('Bearer other-token')).toBeNull();
  });
});
