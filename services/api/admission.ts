import type { Role } from '../../shared/domain/role.ts';
import type { RateLimits } from './rate-limits.ts';
import { type Principal, Tokens } from './tokens.ts';
import type { ApiApp } from './typebox-provider.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Null where no token is needed. */
    principal: Principal | null;
  }
  interface FastifyContextConfig {
    /** The role a token needs here; absent: no token. */
    readonly role?: Role;
  }
}

/** Lets a request in by its token, within the limits of who asks and from where. */
export function admitByToken(app: ApiApp, tokens: Tokens, limits: RateLimits): void {
  app.decorateRequest('principal', null);
  app.addHook('onRequest', async (request, reply) => {
    const { role } = request.routeOptions.config;
    if (!role) return;
    const nowMs = performance.now();
    const { authorization } = request.headers;
    const principal = await tokens.identify(authorization);
    limits.attempt(request.ip, principal?.name ?? null, nowMs);
    if (principal) limits.succeeded(request.ip, principal.name);
    else if (authorization !== undefined) limits.failed(request.ip, nowMs);
    Tokens.permit(principal, role);
    request.principal = principal;
    const { limit, remaining } = limits.request(principal.name, nowMs);
    reply.headers({ 'ratelimit-limit': limit, 'ratelimit-remaining': remaining, 'ratelimit-reset': 1 });
  });
}
