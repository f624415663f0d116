import { ERRORS, type ErrorCode, LastcallError } from '../../shared/domain/errors.ts';
import { httpRequest } from '../../shared/runtime/http-request.ts';

import { operator } from './operator.ts';

const TIMEOUT_MS = 10_000;

/** This site's REST API with a token. Throws catalogue errors: the API's own, or `API_UNREACHABLE`. */
export class ApiClient {
  readonly #url: string;
  readonly #token: string;
  readonly #ca: string | null;
  #hasChanged = false;

  /** `ca`: PEM of the certificate that the API shows besides those that everybody trusts: its own. */
  constructor(url: string, token: string, ca: string | null = null) {
    this.#ca = ca;
    this.#url = url.replace(/\/+$/, '');
    this.#token = token;
  }

  /** Something that this client asked for was changed. */
  get hasChanged(): boolean {
    return this.#hasChanged;
  }

  get<T>(path: string): Promise<T> {
    return this.#request<T>('GET', path);
  }

  post<T>(path: string, body: object = {}, timeoutMs = TIMEOUT_MS): Promise<T> {
    return this.#request<T>('POST', path, body, timeoutMs);
  }

  delete<T>(path: string): Promise<T> {
    return this.#request<T>('DELETE', path);
  }

  async #request<T>(method: string, path: string, body?: object, timeoutMs = TIMEOUT_MS): Promise<T> {
    const headers = {
      authorization: `Bearer ${this.#token}`,
      accept: 'application/json',
      'user-agent': `lastcall ${operator()}`,
    };
    const { status, text } = await httpRequest(this.#url + path, {
      method,
      timeoutMs,
      ca: this.#ca,
      ...(body
        ? { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) }
        : { headers }),
    }).catch((cause: unknown) => {
      throw new LastcallError('API_UNREACHABLE', { cause, details: { api: this.#url } });
    });
    const answer = parsed(text);
    if (status >= 200 && status < 300) {
      this.#hasChanged ||= method !== 'GET';
      return answer as T;
    }
    throw problemError(answer, status, this.#url);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The problem+json of the API as the same error that it was there. */
function problemError(answer: unknown, status: number, api: string): LastcallError {
  const problem = (typeof answer === 'object' && answer !== null ? answer : {}) as Record<string, unknown>;
  const { code, details } = problem;
  if (typeof code !== 'string' || !(code in ERRORS)) {
    return new LastcallError('API_UNREACHABLE', { details: { api, message: `it answered ${status}` } });
  }
  const known = typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : {};
  return new LastcallError(code as ErrorCode, { details: known });
}
