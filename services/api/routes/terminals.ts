import { Type } from '@sinclair/typebox';
import type { FastifyReply } from 'fastify';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { publicTerminal } from '../../../shared/domain/public-terminal.ts';
import type { StoredTerminal, Terminal } from '../../../shared/domain/terminal.ts';
import type { Queryable } from '../../../shared/postgres/database.ts';
import {
  addTerminal,
  digestSecrets,
  findTerminal,
  findTerminalByName,
  listTerminals,
  lockTerminals,
  removeTerminal,
  replaceTerminal,
} from '../../../shared/postgres/terminals.ts';
import type { ApiDeps } from '../deps.ts';
import { TerminalId, TerminalName } from '../schemas/field-types.ts';
import {
  NewTerminal,
  PublicTerminal,
  TerminalChange,
  type TerminalChangeBody,
  TerminalPage,
  TerminalPatch,
} from '../schemas/terminal.ts';
import type { ApiApp } from '../typebox-provider.ts';

const params = Type.Object({ terminalId: TerminalId });
const tags = ['terminals'];

export function terminalRoutes(app: ApiApp, deps: ApiDeps): void {
  const { database, domain } = deps;

  const page = Type.Object({
    after: Type.Optional(Type.Integer({ minimum: 0, default: 0 })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 1_000 })),
    name: Type.Optional(TerminalName),
  });
  app.get(
    '/v1/terminals',
    {
      config: { role: 'read' },
      schema: {
        tags,
        summary: 'List terminals by id, or find one by name',
        querystring: page,
        response: { 200: TerminalPage },
      },
    },
    async ({ query: { after = 0, limit = 1_000, name } }) => {
      if (name !== undefined) {
        const found = await findTerminalByName(database, name);
        return { terminals: found ? [json(found)] : [], next: null };
      }
      const terminals = await listTerminals(database, after, limit);
      const last = terminals.length === limit ? terminals.at(-1) : undefined;
      return { terminals: terminals.map(json), next: last?.terminalId ?? null };
    },
  );

  app.post(
    '/v1/terminals',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Provision a terminal at every site',
        body: NewTerminal,
        response: { 201: PublicTerminal },
      },
    },
    async ({ body }, reply) => {
      const terminal = terminalOf(body.terminalId, body, domain, null);
      await addTerminal(database, terminal);
      reply.header('location', `/v1/terminals/${body.terminalId}`);
      return reply.code(201).send(json(await existing(database, body.terminalId)));
    },
  );

  app.get(
    '/v1/terminals/:terminalId',
    {
      config: { role: 'read' },
      schema: {
        tags,
        summary: 'One terminal',
        description: 'With If-None-Match 304 while it has not changed.',
        params,
        response: { 200: PublicTerminal, 304: Type.Null() },
      },
    },
    async ({ params: { terminalId }, headers }, reply) => {
      const found = await existing(database, terminalId);
      reply.header('etag', etagOf(found));
      if (headers['if-none-match'] === etagOf(found)) return reply.code(304).send(null);
      return json(found);
    },
  );

  /** Reads, judges `If-Match` and writes with no other writer of this site in between. */
  const change = async (
    terminalId: number,
    ifMatch: string | undefined,
    write: (transaction: Queryable, before: StoredTerminal) => Promise<void>,
  ) => {
    await database.transaction(async (transaction) => {
      await lockTerminals(transaction);
      const before = await existing(transaction, terminalId);
      if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== etagOf(before))
        throw new LastcallError('CHANGED_MEANWHILE', { details: { terminalId, etag: etagOf(before) } });
      await write(transaction, before);
    }, deps.statementBudgetMs);
    deps.directory.forget(terminalId);
  };

  const changed = async (terminalId: number, reply: FastifyReply) => {
    const after = await existing(database, terminalId);
    reply.header('etag', etagOf(after));
    return json(after);
  };

  app.put(
    '/v1/terminals/:terminalId',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Replace a terminal whole: what is left away gets its default',
        description:
          'Only its credentials stay without a password, for nobody can read them; with another username they are needed. With If-Match (the ETag of an earlier answer) 412 when it has changed since.',
        params,
        body: TerminalChange,
        response: { 200: PublicTerminal },
      },
    },
    async ({ params: { terminalId }, body, headers }, reply) => {
      await change(terminalId, headers['if-match'], (transaction, before) =>
        replaceTerminal(transaction, terminalOf(terminalId, body, domain, before)),
      );
      return changed(terminalId, reply);
    },
  );

  app.patch(
    '/v1/terminals/:terminalId',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Change what is named, and nothing else',
        description: 'application/json or application/merge-patch+json (RFC 7396). If-Match as with PUT.',
        params,
        body: TerminalPatch,
        response: { 200: PublicTerminal },
      },
    },
    async ({ params: { terminalId }, body, headers }, reply) => {
      await change(terminalId, headers['if-match'], (transaction, before) => {
        const { aor, enabled, features, number, numberId, userId, username } = before;
        const kept = { aor, enabled, features: [...features], number, numberId, userId, username };
        return replaceTerminal(transaction, terminalOf(terminalId, { ...kept, ...body }, domain, before));
      });
      return changed(terminalId, reply);
    },
  );

  app.delete(
    '/v1/terminals/:terminalId',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'Remove it and its last calls from every table of every site (S3)',
        params,
        response: { 204: Type.Null() },
      },
    },
    async ({ params: { terminalId }, headers }, reply) => {
      await change(terminalId, headers['if-match'], (transaction) => removeTerminal(transaction, terminalId));
      return reply.code(204).send(null);
    },
  );
}

/** Strong: every write is dated later than the one before it. */
const etagOf = ({ site, updatedAt }: StoredTerminal): string => `"${site}-${updatedAt}"`;

const json = (terminal: StoredTerminal) => {
  const shown = publicTerminal(terminal);
  return { ...shown, features: [...shown.features] };
};

async function existing(database: Queryable, terminalId: number): Promise<StoredTerminal> {
  const found = await findTerminal(database, { terminalId });
  if (found) return found;
  throw new LastcallError('TERMINAL_NOT_FOUND', { details: { terminalId } });
}

function terminalOf(
  terminalId: number,
  body: TerminalChangeBody,
  domain: string,
  before: Terminal | null,
): Terminal {
  const username = body.username ?? body.number;
  return {
    terminalId,
    userId: body.userId ?? null,
    username,
    aor: body.aor ?? `sip:${username}@${domain}`,
    ...credentials(username, body, domain, before),
    number: body.number,
    numberId: body.numberId ?? null,
    features: body.features ?? ['redial', 'return'],
    enabled: body.enabled ?? true,
  };
}

/** HA1 hashes the username with the password: a new username needs the password again. */
function credentials(
  username: string,
  body: TerminalChangeBody,
  domain: string,
  before: Terminal | null,
): Pick<Terminal, 'ha1Md5' | 'ha1Sha256'> {
  if (body.password !== undefined) return digestSecrets(username, domain, body.password);
  if (body.ha1Md5 !== undefined || body.ha1Sha256 !== undefined) {
    return { ha1Md5: body.ha1Md5 ?? null, ha1Sha256: body.ha1Sha256 ?? null };
  }
  if (before && before.username === username) return { ha1Md5: before.ha1Md5, ha1Sha256: before.ha1Sha256 };
  const message = before
    ? 'a new username needs the password again'
    : 'password, ha1Md5 or ha1Sha256 is needed';
  throw new LastcallError('INVALID_VALUE', { details: { message } });
}
