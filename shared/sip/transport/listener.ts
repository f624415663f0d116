import { familyOf, hostPortText, hostText, reachableAddress } from './address.ts';

export type TransportName = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss';

/** PEM text or DER bytes, as node:tls takes them. */
export interface Certificate {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  readonly ca?: string | Buffer;
}

export interface ListenerOptions {
  readonly transport: TransportName;
  /** An IP literal; 0.0.0.0 and :: bind every interface. */
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Host and port written into Via and Record-Route; the bound address unless given. */
  readonly advertise?: { readonly host: string; readonly port?: number };
  /** Of this process alone, where the other listeners are shared with other processes (node:cluster). */
  readonly own?: boolean;
  /** Needed by tls and wss. */
  readonly certificate?: Certificate;
}

/** One bound address of this server, as other SIP elements see it. */
export interface Listener {
  readonly transport: TransportName;
  readonly host: string;
  readonly port: number;
  /** What it is bound to; `host` and `port` are what others are told. */
  readonly boundHost: string;
  readonly boundPort: number;
  /** Not shared with another process of this machine. */
  readonly own: boolean;
  /** Bound to 0.0.0.0 or ::. */
  readonly everyInterface: boolean;
  /** The address families it sends to and receives from; :: takes both. */
  readonly families: readonly (4 | 6)[];
  /** `host:port` for Via (RFC 3261 18.1.1). */
  readonly sentBy: string;
  /** `sip:host:port;transport=tcp;lr`, without angle brackets: this server as a Route (RFC 3261 16.6 item 4). */
  readonly routeUri: string;
}

/** The listener that `options` became once bound to `boundPort`. */
export function listenerAt(options: ListenerOptions, boundPort: number): Listener {
  const { transport } = options;
  const host = options.advertise?.host ?? reachableAddress(options.host);
  const port = options.advertise?.port ?? boundPort;
  const sentBy = hostPortText(host, port);
  return {
    transport,
    host: hostText(host).toLowerCase(),
    port,
    boundHost: options.host,
    boundPort,
    own: options.own ?? false,
    everyInterface: options.host === '0.0.0.0' || options.host === '::',
    families: options.host === '::' ? [4, 6] : [familyOf(options.host)],
    sentBy,
    routeUri: routeUriOf(transport, sentBy),
  };
}

/** RFC 7118 5.2: wss is `transport=ws` in a sips URI; like most stacks this writes sip with the connection's own transport. */
function routeUriOf(transport: TransportName, sentBy: string): string {
  return transport === 'udp' ? `sip:${sentBy};lr` : `sip:${sentBy};transport=${transport};lr`;
}
