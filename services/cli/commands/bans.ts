import type { Command } from '../command.ts';
import { table } from '../table.ts';

interface Ban {
  readonly name: string;
  readonly source: string | null;
  readonly failures: number;
  readonly heldUntil: string;
}

export const bansList: Command = {
  name: 'bans list',
  summary: 'whose log-ins are held back after wrong passwords',
  async run(_input, context) {
    const { bans } = await context.api().get<{ bans: Ban[] }>('/v1/bans');
    return { data: bans, text: bans.length === 0 ? 'nobody is held back' : shown(bans) };
  },
};

export const bansLift: Command = {
  name: 'bans lift',
  changes: true,
  summary: 'let a username in again everywhere, or every username at a source address',
  arguments: [{ name: 'NAME|SOURCE', description: 'a username, or an address as `bans list` shows it' }],
  examples: ['lastcall bans lift 1001', 'lastcall bans lift 192.0.2.7'],
  async run(input, context) {
    const whom = input.text('NAME|SOURCE');
    const path = `/v1/bans/${encodeURIComponent(whom)}`;
    const { lifted } = await context.api().delete<{ lifted: Ban[] }>(path);
    return { data: lifted, text: lifted.length === 0 ? `${whom} was not held back` : shown(lifted) };
  },
};

function shown(bans: readonly Ban[]): string {
  return table(
    ['name', 'source', 'failures', 'held until'],
    bans.map(({ failures, heldUntil, name, source }) => [
      name,
      source ?? 'anywhere new',
      failures,
      heldUntil,
    ]),
  );
}
