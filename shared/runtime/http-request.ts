import { X509Certificate } from 'node:crypto';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { checkServerIdentity, type PeerCertificate, rootCertificates } from 'node:tls';

/** The one certificate that was named may name any host: it is reached at an address of its own machine. */
const ownOr =
  (ca: string) =>
  (host: string, shown: PeerCertificate): Error | undefined =>
    new X509Certificate(ca).raw.equals(shown.raw) ? undefined : checkServerIdentity(host, shown);

export interface HttpRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For the whole exchange, milliseconds. */
  readonly timeoutMs: number;
  /** PEM of a certificate that is trusted whatever host it names, besides those that everybody trusts. */
  readonly ca?: string | null;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * One HTTP exchange. Not `fetch`: that follows the browsers' list of blocked ports, on which an operator may well have
 * put a service (10080, 6000). Rejects when there is no answer; every status is an answer.
 */
export function httpRequest(
  url: string,
  { method = 'GET', headers, body, timeoutMs, ca = null }: HttpRequest,
): Promise<HttpAnswer> {
  const open = url.startsWith('https:') ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const options = {
      method,
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
      ...(headers && { headers }),
      ...(ca !== null && { ca: [...rootCertificates, ca], checkServerIdentity: ownOr(ca) }),
    };
    const request = open(url, options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}
