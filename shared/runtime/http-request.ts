import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

export interface HttpRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For the whole exchange, milliseconds. */
  readonly timeoutMs: number;
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
  { method = 'GET', headers, body, timeoutMs }: HttpRequest,
): Promise<HttpAnswer> {
  const open = url.startsWith('https:') ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const options = {
      method,
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
      ...(headers && { headers }),
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
