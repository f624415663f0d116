import { hostPort, integer, optional, section, text, texts, webUrl } from './config-field.ts';

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
  samplePercent: integer('Share of the calls that are traced, in percent', {
    min: 1,
    max: 100,
    default: 100,
  }),
});

/** Who is told of what happens. */
export const ALERTS = section('Who is notified', {
  command: optional(text('Run for each event; {event}, {site}, {from}, {to}, {reason} are replaced')),
  webhookUrl: optional(webUrl('Gets each event as signed JSON')),
  webhookSecret: optional(text('Key of the HMAC-SHA-256 signature', { secret: true })),
  mailTo: texts('Addresses that get each event', { default: [], expected: 'a list of mail addresses' }),
  mailFrom: text('Sender of the mails', { default: 'lastcall@localhost' }),
  smtpUrl: optional(
    text('smtp://[user:password@]host[:port]', { secret: true, pattern: /^smtps?:\/\/\S+$/ }),
  ),
  repeatMinutes: integer('After this time a trouble that lasts is reported again', {
    min: 1,
    max: 10_080,
    unit: 'minutes',
    default: 15,
  }),
});
