import { randomBytes } from 'node:crypto';

/** A header as it is written: name and value. */
export type RawHeader = readonly [name: string, value: string];

export interface RawRequest {
  readonly method: string;
  readonly uri: string;
  /** The value of the top Via. */
  readonly via: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly cseq: number;
  /** After the ones above; those of a name in `instead` replace them. */
  readonly headers?: readonly RawHeader[];
  readonly body?: string;
}

export const newToken = (): string => randomBytes(6).toString('hex');
export const newBranch = (): string => `z9hG4bK${newToken()}`;

/** A request as text. What `headers` names of the obligatory ones (Via, Max-Forwards, From, To, CSeq ...) replaces them. */
export function rawRequest(request: RawRequest): string {
  const { body = '', callId, cseq, from, headers = [], method, to, uri, via } = request;
  const own: RawHeader[] = [
    ['Via', via],
    ['Max-Forwards', '70'],
    ['From', from],
    ['To', to],
    ['Call-ID', callId],
    ['CSeq', `${cseq} ${method}`],
    ['Content-Length', String(Buffer.byteLength(body, 'latin1'))],
  ];
  const given = new Set(headers.map(([name]) => name.toLowerCase()));
  const lines = [...own.filter(([name]) => !given.has(name.toLowerCase())), ...headers];
  return `${method} ${uri} SIP/2.0\r\n${lines.map((line) => `${line.join(': ')}\r\n`).join('')}\r\n${body}`;
}

/** A response to a request that came in as text. */
export function rawResponse(
  request: string,
  status: number,
  tag: string,
  headers: readonly RawHeader[] = [],
  body = '',
): string {
  const echoed = ['Via', 'Record-Route', 'From', 'To', 'Call-ID', 'CSeq'].flatMap((name) =>
    headersOf(request, name).map((value): RawHeader => [name, value]),
  );
  const lines = [...echoed, ...headers, ['Content-Length', String(body.length)] as const].map(
    ([name, value]) =>
      name === 'To' && status > 100 && !value.includes(';tag=')
        ? `${name}: ${value};tag=${tag}`
        : `${name}: ${value}`,
  );
  return `SIP/2.0 ${status} Raw\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${body}`;
}

const COMPACT: Readonly<Record<string, string>> = {
  via: 'v',
  from: 'f',
  to: 't',
  'call-id': 'i',
  contact: 'm',
};

/** Every value line of a header, in order; one line may hold several values. */
export function headersOf(text: string, name: string): string[] {
  const wanted = name.toLowerCase();
  const end = text.indexOf('\r\n\r\n');
  return text
    .slice(0, end < 0 ? undefined : end)
    .split('\r\n')
    .slice(1)
    .flatMap((line) => {
      const colon = line.indexOf(':');
      const found = line.slice(0, colon).trim().toLowerCase();
      return colon > 0 && (found === wanted || found === COMPACT[wanted])
        ? [line.slice(colon + 1).trim()]
        : [];
    });
}

export const headerOf = (text: string, name: string): string | undefined => headersOf(text, name)[0];

/** 0 for a request. */
export const statusOf = (text: string): number => Number(/^SIP\/2\.0 (\d{3})/.exec(text)?.[1] ?? 0);

/** Empty for a response. */
export const methodOf = (text: string): string =>
  text.startsWith('SIP/2.0') ? '' : text.slice(0, text.indexOf(' '));

export const requestUriOf = (text: string): string => text.split(' ')[1] ?? '';

/** The URI of a `<...>` value. */
export const bracketed = (value: string | undefined): string => /<([^>]*)>/.exec(value ?? '')?.[1] ?? '';

/** The Route values that an INVITE's or its answer's Record-Route make, as the caller (`uac`) or the callee sends them. */
export function routeSet(text: string, side: 'uac' | 'uas'): string[] {
  const values = headersOf(text, 'Record-Route').flatMap((line) => line.split(/,\s*(?=<)/));
  return side === 'uac' ? values.toReversed() : values;
}
