import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { ERRORS, LastcallError } from '../../shared/domain/errors.ts';
import { sendEmptyText } from './plain-text.ts';

/** RFC 9457, with the catalogue's code, details and remedy. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly remedy?: string;
}

/** An unknown error says nothing but 500: what it holds is for the log. */
export function problemOf(error: unknown): Problem {
  const known = toCatalogue(error);
  if (known === null || known.code === 'INTERNAL')
    return { type: 'about:blank', title: ERRORS.INTERNAL.title, status: 500 };
  const { httpStatus, title, remedy } = ERRORS[known.code];
  const status = requestFault(error)?.statusCode ?? httpStatus;
  return {
    type: `urn:lastcall:error:${known.code}`,
    title,
    status,
    code: known.code,
    details: known.details,
    remedy,
  };
}

const RETRY_AFTER_SECONDS = 2;

export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error);
  if (problem.status >= 500)
    request.log.error({ err: error, route: request.routeOptions.url }, 'request failed');
  reply.code(problem.status);
  if (problem.status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
  if (problem.status === 429)
    reply.header('retry-after', Math.ceil(Number(problem.details?.['retryAfterMs']) / 1000));
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="lastcall"');
  if (sendEmptyText(request, reply, problem.status)) return reply;
  return reply.type('application/problem+json').serializer(JSON.stringify).send(problem);
}

function toCatalogue(error: unknown): LastcallError | null {
  if (error instanceof LastcallError) return error;
  const fault = requestFault(error);
  if (!fault) return null;
  return new LastcallError('INVALID_VALUE', {
    details: { message: fault.message, ...(fault.faults && { faults: fault.faults }) },
  });
}

/** What fastify itself refuses: a body that is no JSON, too large, of another type, or not as the schema says. */
function requestFault(error: unknown): { statusCode: number; message: string; faults?: string[] } | null {
  const { statusCode, validation, validationContext, message } = (error ?? {}) as Partial<FastifyError>;
  if (statusCode === undefined || statusCode < 400 || statusCode >= 500) return null;
  if (!validation) return { statusCode, message: message ?? '' };
  const faults = validation.map((fault) => {
    const extra = fault.params['additionalProperty'] ?? fault.params['allowedValues'];
    const path = `${validationContext ?? ''}${fault.instancePath.replaceAll('/', '.')}`;
    return `${path} ${fault.message ?? ''}${extra === undefined ? '' : `: ${String(extra)}`}`;
  });
  return { statusCode, message: 'the request is not as its schema says', faults };
}
