import { hostPort, integer, optional, section, text, webUrl } from './config-field.ts';

/** What copies SIP messages elsewhere. */
export const HEP = section('Copies of every SIP message for HOMER, as HEP version 3 over UDP', {
  server: optional(hostPort('The capture server, such as 127.0.0.1:9060; absent: nothing is copied')),
  agentId: integer('Tells this site from other capture agents', {
    min: 1,
    max: 4_294_967_295,
    default: 2_001,
  }),
  password: optional(text('Key that the capture server wants', { secret: true })),
});

/** What tells of calls elsewhere. */
export const TRACING = section('OpenTelemetry traces of calls, as OTLP over HTTP and JSON', {
  url: optional(
    webUrl("A collector's address for traces, such as http://127.0.0.1:4318/v1/traces; absent: no traces"),
  ),
  samplePercent: integer('Of a hundred calls so many are traced', { min: 1, max: 100, default: 100 }),
});
