import { createHash } from 'node:crypto';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { CallReports } from '../call-reports.ts';
import type { ApiDeps } from '../deps.ts';
import { CallAnswer, type CallAnswerBody, CallReport, type CallReportBody } from '../schemas/call.ts';
import type { ApiApp } from '../typebox-provider.ts';

/** The same whatever the order of its keys. */
function fingerprint(body: CallReportBody): string {
  const entries = Object.entries(body).sort(([x], [y]) => (x < y ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(entries)).digest('base64url');
}

export function callRoutes(app: ApiApp, deps: ApiDeps): void {
  const recorder = new CallReports(deps);
  const results = deps.health.metrics.counter('api_calls_total', 'Calls reported over REST', [
    'event',
    'result',
  ]);
  app.post(
    '/v1/calls',
    {
      config: { role: 'record' },
      schema: {
        tags: ['last calls'],
        summary: 'Record a call that a PBX routed',
        description:
          '200 once it is durable in PostgreSQL, 202 while it is journalled; the same callId and event twice is one record, and 409 when they are reported with other content.',
        body: CallReport,
        response: { 200: CallAnswer, 202: CallAnswer },
      },
    },
    async ({ body }, reply) => {
      const report = fingerprint(body);
      const text = await deps.callOnce.run(body.callId, body.event, async (earlierAt) => {
        const answer = await recorder.record(body, earlierAt);
        results.inc({ event: body.event, result: answer.result });
        return JSON.stringify({ ...answer, report });
      });
      const { report: first, ...answer } = JSON.parse(text) as CallAnswerBody & { readonly report?: string };
      if (first !== undefined && first !== report)
        throw new LastcallError('CALL_REPORTED_OTHERWISE', {
          details: { callId: body.callId, event: body.event },
        });
      return reply.code(answer.result === 'journalled' ? 202 : 200).send(answer);
    },
  );
}
