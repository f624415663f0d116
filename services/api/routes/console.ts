import { join } from 'node:path';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { packageRoot } from '../../../shared/runtime/package-root.ts';
import { readConsoleFiles } from '../console-files.ts';
import { contentSecurityPolicy } from '../console-settings.ts';
import type { ApiDeps } from '../deps.ts';
import { ConsoleAnswer, DemoAccounts } from '../schemas/console.ts';
import type { ApiApp } from '../typebox-provider.ts';

const tags = ['console'];

/** The web page under /console/, and what only it asks for. */
export function consoleRoutes(app: ApiApp, { consoleSettings, domain, policy, site }: ApiDeps): void {
  const files = readConsoleFiles(join(packageRoot(), 'dist', 'services', 'console'));
  const protection = {
    'content-security-policy': contentSecurityPolicy(consoleSettings),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'microphone=(self), camera=(), geolocation=()',
    'cache-control': 'no-cache',
  };

  app.get('/console', async (_request, reply) => reply.redirect('/console/', 308));
  app.get<{ Params: { file: string } }>('/console/:file', async (request, reply) => {
    const file = files.get(request.params.file || 'index.html');
    if (!file) throw new LastcallError('NOT_FOUND', { details: files.size === 0 ? NOT_BUILT : {} });
    reply.headers({ ...protection, etag: file.etag });
    if (request.headers['if-none-match'] === file.etag) return reply.code(304).send();
    return reply.type(file.type).send(file.content);
  });

  app.get(
    '/v1/console',
    {
      config: { role: 'read' },
      schema: { tags, summary: 'What the console shows of this site', response: { 200: ConsoleAnswer } },
    },
    async () => ({
      site,
      domain,
      codes: [...policy.codes].map(([code, feature]) => ({ code, feature })),
      servers: [...consoleSettings.servers],
    }),
  );

  app.get(
    '/v1/console/accounts',
    {
      config: { role: 'admin' },
      schema: {
        tags,
        summary: 'The demonstration accounts of `api.demoAccounts`, for the softphone',
        response: { 200: DemoAccounts },
      },
    },
    async () => ({ accounts: [...consoleSettings.demoAccounts] }),
  );
}

const NOT_BUILT = { message: 'the console is not built; npm run build' };
