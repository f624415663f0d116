import { type FastifyBaseLogger, type FastifyError, fastify, LogController } from 'fastify';
import { LastcallError } from '../../shared/domain/errors.ts';
import { healthRoutes } from '../../shared/runtime/health.ts';
import type { ApiDeps } from './deps.ts';
import { openApiRoute } from './openapi.ts';
import { sendProblem } from './problem.ts';
import { countRequests } from './request-metrics.ts';
import { banRoutes } from './routes/bans.ts';
import { callRoutes } from './routes/calls.ts';
import { compareRoutes } from './routes/compare.ts';
import { failoverRoutes } from './routes/failovers.ts';
import { lastCallsRoutes } from './routes/last-calls.ts';
import { replicationRoutes } from './routes/replication.ts';
import { targetRoute } from './routes/target.ts';
import { terminalRoutes } from './routes/terminals.ts';
import { type Role, Tokens } from './tokens.ts';
import type { ApiApp, TypeBoxProvider } from './typebox-provider.ts';
import { validatorCompiler } from './validation.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The role a token needs here; absent: no token. */
    readonly role?: Role;
    /** Whoever asks for text/plain gets an empty body where a problem would stand: a dial plan takes what it gets for a number. */
    readonly emptyTextProblems?: boolean;
  }
  interface FastifySchema {
    readonly summary?: string;
    readonly description?: string;
    readonly tags?: readonly string[];
  }
}

const LARGEST_BODY_BYTES = 65_536;

/** The REST API, not yet listening. */
export function buildApp(deps: ApiDeps): ApiApp {
  const log: FastifyBaseLogger = deps.log;
  const app: ApiApp = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: LARGEST_BODY_BYTES,
    forceCloseConnections: true,
  }).withTypeProvider<TypeBoxProvider>();
  const tokens = new Tokens(deps.tokens);
  app.setValidatorCompiler(validatorCompiler);
  app.setErrorHandler<FastifyError>((error, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(new LastcallError('NOT_FOUND', { details: { method: request.method } }), request, reply),
  );
  app.addHook('onRequest', async (request) => {
    const { role } = request.routeOptions.config;
    if (role) tokens.authorize(request.headers.authorization, role);
  });
  countRequests(app, deps.health.metrics);
  openApiRoute(app);
  healthRoutes(app, deps.health);
  terminalRoutes(app, deps);
  lastCallsRoutes(app, deps);
  targetRoute(app, deps);
  callRoutes(app, deps);
  replicationRoutes(app, deps);
  failoverRoutes(app, deps);
  compareRoutes(app, deps);
  banRoutes(app, deps);
  return app;
}
