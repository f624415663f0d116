import type { Server } from 'node:http';
import { createServer } from 'node:https';
import {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyServerFactory,
  fastify,
  LogController,
} from 'fastify';
import { LastcallError } from '../../shared/domain/errors.ts';
import { healthRoutes } from '../../shared/runtime/health.ts';
import { admitByToken } from './admission.ts';
import { learnMethods } from './allowed-methods.ts';
import { auditChanges } from './audit.ts';
import { allowOrigins } from './cross-origin.ts';
import type { ApiDeps } from './deps.ts';
import { openApiRoute } from './openapi.ts';
import { sendProblem } from './problem.ts';
import { RateLimits } from './rate-limits.ts';
import { nameRequests, requestId } from './request-ids.ts';
import { countRequests } from './request-metrics.ts';
import { alertRoute } from './routes/alerts.ts';
import { auditRoute } from './routes/audit.ts';
import { banRoutes } from './routes/bans.ts';
import { callRoutes } from './routes/calls.ts';
import { compareRoutes } from './routes/compare.ts';
import { consoleRoutes } from './routes/console.ts';
import { consoleLoginRoute } from './routes/console-login.ts';
import { eventRoute } from './routes/events.ts';
import { failoverRoutes } from './routes/failovers.ts';
import { lastCallsRoutes } from './routes/last-calls.ts';
import { callRecordsRoute } from './routes/records.ts';
import { replicationRoutes } from './routes/replication.ts';
import { tableRoutes } from './routes/tables.ts';
import { targetRoute } from './routes/target.ts';
import { targetsRoute } from './routes/targets.ts';
import { terminalRoutes } from './routes/terminals.ts';
import { tokenRoutes } from './routes/tokens.ts';
import type { ApiApp, TypeBoxProvider } from './typebox-provider.ts';
import { validatorCompiler } from './validation.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
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

/** Typed as the plain server: nothing here tells them apart. */
function overTls(tls: NonNullable<ApiDeps['tls']>): FastifyServerFactory<Server> {
  return (handler) => createServer({ ...tls, minVersion: 'TLSv1.2' }, handler) as unknown as Server;
}

/** The REST API, not yet listening. */
export function buildApp(deps: ApiDeps): ApiApp {
  const log: FastifyBaseLogger = deps.log;
  const app: ApiApp = fastify<Server>({
    ...(deps.tls && { serverFactory: overTls(deps.tls) }),
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: LARGEST_BODY_BYTES,
    trustProxy: [...deps.trustedProxies],
    genReqId: requestId,
    requestIdHeader: false,
    // Whoever was let in is answered; then the connection ends.
    forceCloseConnections: 'idle',
  }).withTypeProvider<TypeBoxProvider>();
  // RFC 7396: JSON under another name.
  app.addContentTypeParser(
    'application/merge-patch+json',
    { parseAs: 'string' },
    app.getDefaultJsonParser('error', 'error'),
  );
  const allowed = learnMethods(app);
  app.setValidatorCompiler(validatorCompiler);
  app.setErrorHandler<FastifyError>((error, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler((request, reply) => {
    const { method } = request;
    const methods = allowed(request.url);
    if (methods.length === 0)
      return sendProblem(new LastcallError('NOT_FOUND', { details: { method } }), request, reply);
    reply.header('allow', methods.join(', '));
    return sendProblem(
      new LastcallError('METHOD_NOT_ALLOWED', { details: { method, allowed: methods } }),
      request,
      reply,
    );
  });
  const limits = new RateLimits(deps.limits);
  nameRequests(app, deps.accessLog);
  allowOrigins(app, deps.corsOrigins);
  admitByToken(app, deps.tokens, limits);
  auditChanges(app, deps.database);
  countRequests(app, deps.health.metrics);
  openApiRoute(app);
  healthRoutes(app, deps.health);
  terminalRoutes(app, deps);
  lastCallsRoutes(app, deps);
  tableRoutes(app, deps);
  targetsRoute(app, deps);
  targetRoute(app, deps);
  callRoutes(app, deps);
  replicationRoutes(app, deps);
  failoverRoutes(app, deps);
  compareRoutes(app, deps);
  alertRoute(app, deps);
  banRoutes(app, deps);
  tokenRoutes(app, deps);
  consoleLoginRoute(app, deps, limits);
  auditRoute(app, deps);
  callRecordsRoute(app, deps);
  eventRoute(app, deps);
  consoleRoutes(app, deps);
  return app;
}
