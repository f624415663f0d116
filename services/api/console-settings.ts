import type { Config } from '../../shared/runtime/config.ts';

/** Where the console's softphone finds call-control. `host` null: wherever the page itself came from. */
export interface SoftphoneServer {
  readonly scheme: 'ws' | 'wss';
  readonly host: string | null;
  readonly port: number;
}

/** What the page must know of this site. */
export interface ConsoleSettings {
  readonly servers: readonly SoftphoneServer[];
  readonly demoAccounts: readonly { readonly username: string; readonly password: string }[];
}

const ANY_ADDRESS = new Set(['0.0.0.0', '::']);

export function consoleSettings({ api, sip }: Pick<Config, 'api' | 'sip'>): ConsoleSettings {
  const servers = (['wss', 'ws'] as const).flatMap((scheme) => {
    const listener = sip[scheme];
    if (listener === null) return [];
    const host = sip.advertise ?? (ANY_ADDRESS.has(listener.host) ? null : listener.host);
    return [{ scheme, host, port: listener.port }];
  });
  return { servers, demoAccounts: api.demoAccounts };
}

/** Only our own files run; nothing is fetched but from this api; the softphone connects to this site's call-control. */
export function contentSecurityPolicy({ servers }: Pick<ConsoleSettings, 'servers'>): string {
  const sip = servers.map(({ scheme, host, port }) => `${scheme}://${authority(host)}:${port}`);
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    ["connect-src 'self'", ...sip].join(' '),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; ');
}

const authority = (host: string | null): string =>
  host === null ? '*' : host.includes(':') ? `[${host}]` : host;
