import { CallRecorder } from '../call-recorder.ts';
import type { ApiDeps } from '../deps.ts';
import { CallAnswer, type CallAnswerBody, CallReport } from '../schemas/call.ts';
import type { ApiApp } from '../typebox-provider.ts';

export function callRoutes(app: ApiApp, deps: ApiDeps): void {
  const recorder = new CallRecorder(deps);
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
          '200 once it is durable in PostgreSQL, 202 while it is journalled; the same callId and event twice is one record.',
        body: CallReport,
        response: { 200: CallAnswer, 202: CallAnswer },
      },
    },
    async ({ body }, reply) => {
      const text = await deps.callOnce.run(body.callId, body.event, async (earlierAt) => {
        const answer = await recorder.record(body, earlierAt);
        results.inc({ event: body.event, result: answer.result });
        return JSON.stringify(answer);
      });
      const answer = JSON.parse(text) as CallAnswerBody;
      return reply.code(answer.result === 'journalled' ? 202 : 200).send(answer);
    },
  );
}
