import { ROLES, type Role } from '../../../shared/domain/role.ts';
import { tokenJson } from '../../../shared/postgres/token-json.ts';
import { addToken, listTokens, revokeToken } from '../../../shared/postgres/tokens.ts';
import { type Command, WrongUsage } from '../command.ts';
import { apiUrl } from '../context.ts';
import { operator } from '../operator.ts';
import { table } from '../table.ts';
import { lifetime, oneOf, tokenName } from '../value-forms.ts';

const NAME = { name: 'NAME', description: 'who or what uses it, such as pbx-1', parse: tokenName };

export const tokensAdd: Command = {
  name: 'tokens add',
  changes: true,
  summary: 'make a token for the REST API, good at once; it is shown this once',
  arguments: [NAME],
  options: [
    { flags: '--role <role>', description: 'read, record or admin', required: true, parse: oneOf(...ROLES) },
    {
      flags: '--expires <time>',
      description: '12h, 30d, never; default: a year, a one-time code ten minutes',
      parse: lifetime,
    },
    { flags: '--one-time', description: 'a code for one log-in at the console, instead of a token' },
  ],
  examples: ['lastcall tokens add pbx-1 --role record', 'lastcall tokens add ann --role admin --one-time'],
  async run(input, context) {
    const oneTime = input.flag('oneTime');
    const name = input.text('NAME');
    const made = await addToken(await context.database(), {
      name,
      role: input.text('role') as Role,
      oneTime,
      createdBy: operator(),
      expiresInSeconds: input.maybeWhole('expires') ?? expiryOf(input.has('expires'), oneTime),
    });
    const url = oneTime ? `${apiUrl(context.config().config)}/console/#login=${made.token}` : null;
    return {
      data: { ...tokenJson(made), token: made.token, ...(url && { url }) },
      text: url ?? made.token,
    };
  },
};

const DAY_SECONDS = 86_400;
const CODE_SECONDS = 600;

/** `never` is given, or nothing is. */
function expiryOf(given: boolean, oneTime: boolean): number | null {
  if (!given) return oneTime ? CODE_SECONDS : 365 * DAY_SECONDS;
  if (oneTime) throw new WrongUsage('a one-time code must expire');
  return null;
}

export const tokensList: Command = {
  name: 'tokens list',
  summary: 'the tokens of this site; those of the configuration file are not among them',
  async run(_input, context) {
    const tokens = (await listTokens(await context.database())).map(tokenJson);
    const rows = tokens.map((t) => [
      t.name,
      t.role,
      t.oneTime ? 'one log-in' : 'token',
      t.createdBy,
      t.createdAt,
      t.expiresAt ?? 'never',
      t.lastUsedAt,
    ]);
    const head = ['name', 'role', 'kind', 'made by', 'made', 'expires', 'last used'];
    return { data: tokens, text: tokens.length === 0 ? 'there are none' : table(head, rows) };
  },
};

export const tokensRevoke: Command = {
  name: 'tokens revoke',
  changes: true,
  summary: 'let a token in no more, at once',
  arguments: [NAME],
  async run(input, context) {
    const name = input.text('NAME');
    await revokeToken(await context.database(), name);
    return { data: { name, revoked: true }, text: `token ${name} is revoked` };
  },
};
