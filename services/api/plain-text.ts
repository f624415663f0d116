import type { FastifyReply, FastifyRequest } from 'fastify';

/** True when the answer has been sent: an empty text in place of a problem. */
export function sendEmptyText(request: FastifyRequest, reply: FastifyReply, status: number): boolean {
  if (!request.routeOptions.config.emptyTextProblems || !wantsText(request.headers.accept)) return false;
  void reply.code(status).type('text/plain; charset=utf-8').serializer(String).send('');
  return true;
}

export function wantsText(accept: string | undefined): boolean {
  return accept !== undefined && /\btext\/plain\b/.test(accept) && !/\bapplication\/json\b/.test(accept);
}
