/** An answer that is not 2xx, or none at all (status 0). */
export class ApiFault extends Error {
  readonly status: number;
  readonly code: string | null;
  readonly remedy: string | null;

  constructor(status: number, title: string, code: string | null, remedy: string | null) {
    super(title);
    this.status = status;
    this.code = code;
    this.remedy = remedy;
  }

  /** This api does not serve that address at all. */
  get isUnknownAddress(): boolean {
    return this.status === 404 && this.code === 'NOT_FOUND';
  }
}

interface Problem {
  readonly title?: string;
  readonly code?: string;
  readonly remedy?: string;
}

const TIMEOUT_MS = 10_000;

/** The REST API of the site that the page came from. The token goes in a header, never in an address. */
export class ApiClient {
  readonly #token: string | null;
  /** Told when the token is no longer good. */
  readonly #onRefused: () => void;

  constructor(token: string | null, onRefused: () => void) {
    this.#token = token;
    this.#onRefused = onRefused;
  }

  get<T>(path: string): Promise<T> {
    return this.#request('GET', path, undefined);
  }

  post<T>(path: string, body?: object): Promise<T> {
    return this.#request('POST', path, body);
  }

  delete<T>(path: string): Promise<T> {
    return this.#request('DELETE', path, undefined);
  }

  /** A stream that is read for as long as `signal` lets it. Throws {@link ApiFault}. */
  async stream(path: string, signal: AbortSignal): Promise<Response> {
    const response = await this.#fetch(path, { headers: { accept: 'text/event-stream' }, signal });
    if (!response.ok) throw this.#fault(response, await response.text());
    return response;
  }

  /** Throws {@link ApiFault}. */
  async #request<T>(method: string, path: string, body: object | undefined): Promise<T> {
    const response = await this.#fetch(path, {
      method,
      headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    // A site that is not ready says so with 503 and the same answer.
    if (response.ok || path === '/readyz') return (text === '' ? null : parse(text)) as T;
    throw this.#fault(response, text);
  }

  #fetch(path: string, { headers, ...request }: RequestInit & { headers: Record<string, string> }) {
    const authorization = this.#token === null ? {} : { authorization: `Bearer ${this.#token}` };
    return fetch(path, { ...request, headers: { ...headers, ...authorization }, cache: 'no-store' }).catch(
      (cause: unknown) => {
        throw new ApiFault(0, 'the api does not answer', null, String(cause));
      },
    );
  }

  #fault({ status }: Response, text: string): ApiFault {
    const { title, code, remedy } = (parse(text) ?? {}) as Problem;
    if (status === 401 && this.#token !== null) this.#onRefused();
    return new ApiFault(status, title ?? `HTTP ${status}`, code ?? null, remedy ?? null);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
