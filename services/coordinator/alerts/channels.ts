import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { createTransport } from 'nodemailer';
import type { Notice } from '../../../shared/domain/alert.ts';
import type { AlertBoard } from '../../../shared/redis/alert-board.ts';
import { httpRequest } from '../../../shared/runtime/http-request.ts';

/** One way to tell somebody. Rejects when the notice was not taken: it is tried again. */
export interface Channel {
  readonly name: 'board' | 'command' | 'webhook' | 'mail';
  send(notice: Notice): Promise<void>;
  /** One at a time, as they came. */
  readonly inOrder?: boolean;
}

export interface ChannelSettings {
  readonly command: string | null;
  readonly webhookUrl: string | null;
  readonly webhookSecret: string | null;
  readonly mailTo: readonly string[];
  readonly mailFrom: string;
  readonly smtpUrl: string | null;
}

export const SEND_LIMIT_MS = 10_000;

/** Always there: what REST, the command line and the console show. */
export const boardChannel = (board: Pick<AlertBoard, 'post'>): Channel => ({
  name: 'board',
  inOrder: true,
  send: (notice) => board.post(notice),
});

/** `env` is what `alerts.command` inherits. */
export function configuredChannels(settings: ChannelSettings, env: NodeJS.ProcessEnv): Channel[] {
  const channels: Channel[] = [];
  if (settings.command) channels.push(commandChannel(settings.command, env));
  if (settings.webhookUrl) channels.push(webhookChannel(settings.webhookUrl, settings.webhookSecret));
  if (settings.mailTo.length > 0 && settings.smtpUrl)
    channels.push(mailChannel({ ...settings, smtpUrl: settings.smtpUrl }));
  return channels;
}

const PLACEHOLDERS = ['event', 'phase', 'site', 'from', 'to', 'reason', 'at', 'since'] as const;

/** Placeholders become shell variables: a reason is free text and must never be read as a command. */
function commandChannel(command: string, inherited: NodeJS.ProcessEnv): Channel {
  const script = PLACEHOLDERS.reduce(
    (text, name) => text.replaceAll(`{${name}}`, `\${LASTCALL_${name.toUpperCase()}}`),
    command,
  );
  return {
    name: 'command',
    send: async (notice) => {
      const variables = PLACEHOLDERS.map((name) => [`LASTCALL_${name.toUpperCase()}`, notice[name] ?? '']);
      const env = {
        ...inherited,
        ...Object.fromEntries(variables),
        LASTCALL_DETAIL: JSON.stringify(notice.detail),
      };
      const child = spawn('/bin/sh', ['-c', script], { env, stdio: 'ignore', timeout: SEND_LIMIT_MS });
      const status = await new Promise<number | string>((resolve) => {
        child.once('error', (error) => resolve(error.message));
        child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'));
      });
      if (status !== 0) throw new Error(`alerts.command ended with ${status}`);
    },
  };
}

/** The signature covers time of sending and body: `v1` is the hexadecimal HMAC-SHA-256 of `<t>.<body>`. */
export function signature(secret: string, at: string, body: string): string {
  return `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`;
}

function webhookChannel(url: string, secret: string | null): Channel {
  return {
    name: 'webhook',
    send: async (notice) => {
      const body = JSON.stringify(notice);
      const { status } = await httpRequest(url, {
        method: 'POST',
        body,
        headers: {
          'content-type': 'application/json',
          ...(secret && { 'lastcall-signature': signature(secret, new Date().toISOString(), body) }),
        },
        timeoutMs: SEND_LIMIT_MS,
      });
      if (status < 200 || status > 299) throw new Error(`alerts.webhookUrl answered ${status}`);
    },
  };
}

function mailChannel({ smtpUrl, mailTo, mailFrom }: ChannelSettings & { readonly smtpUrl: string }): Channel {
  const limits = {
    connectionTimeout: SEND_LIMIT_MS,
    greetingTimeout: SEND_LIMIT_MS,
    socketTimeout: SEND_LIMIT_MS,
  };
  const transport = createTransport({ url: smtpUrl, ...limits });
  return {
    name: 'mail',
    send: async (notice) => {
      await transport.sendMail({
        from: mailFrom,
        to: [...mailTo],
        subject: subject(notice),
        text: mailText(notice),
      });
    },
  };
}

function subject({ event, site, from, to, reason, phase }: Notice): string {
  const direction = from && to ? ` ${from} to ${to}` : '';
  const again = phase === 'reminder' ? ' (still)' : '';
  return `[lastcall ${site}] ${event}${again}${direction}${reason ? `: ${reason}` : ''}`.replaceAll(
    /[\r\n]+/g,
    ' ',
  );
}

function mailText(notice: Notice): string {
  const lines = Object.entries(notice.detail).map(([name, value]) => `${name}: ${value}`);
  const withheld = notice.withheld > 0 ? [`${notice.withheld} earlier events were not told.`] : [];
  return [
    subject(notice),
    `at ${notice.at}`,
    ...(notice.since ? [`since ${notice.since}`] : []),
    '',
    ...lines,
    ...withheld,
  ].join('\n');
}
