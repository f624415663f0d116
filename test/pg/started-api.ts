import { pino } from 'pino';
import type { ApiApp } from '../../services/api/typebox-provider.ts';
import { wireApi } from '../../services/api/wire.ts';
import { parseConfig } from '../../shared/runtime/config.ts';
import { waitFor } from '../support/wait-for.ts';
import { ADMIN_TOKEN } from './two-sites.ts';

export interface StartedApi {
  readonly app: ApiApp;
  /** With the admin token; `json` is null for an answer without a body. */
  request(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    body?: object,
    headers?: Record<string, string>,
  ): Promise<Answer>;
  stop(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  readonly json: any;
}

export interface StartOptions {
  readonly databaseAway?: boolean;
  readonly listen?: boolean;
  /** Looked at for peers while the api runs. */
  readonly file?: string;
}

/** The api of a site as its process wires it, without the listener unless `listen`. Ready when the database is found, unless `databaseAway`. */
export async function startApi(
  yaml: string,
  { databaseAway = false, listen = false, file }: StartOptions = {},
): Promise<StartedApi> {
  const { app, parts } = wireApi(parseConfig(yaml), pino({ level: 'silent' }), file);
  const inside = parts.filter((part) => listen || part.name !== 'http');
  for (const part of inside) await part.start?.(new AbortController().signal);
  if (!databaseAway) await waitFor(() => checkState(app, 'postgres', 'up'), { what: 'the database' });
  return {
    app,
    request: async (method, url, body, headers = {}) => {
      const authorization = { authorization: `Bearer ${ADMIN_TOKEN}` };
      const response = await app.inject({
        method,
        url,
        headers: { ...authorization, ...headers },
        ...(body && { payload: body }),
      });
      const text = response.body;
      const isJson = /json/.test(String(response.headers['content-type'])) && text !== '';
      const json = isJson ? JSON.parse(text) : null;
      return { status: response.statusCode, headers: response.headers, text, json };
    },
    stop: async () => {
      await app.close();
      for (const part of inside.toReversed()) await part.stop?.();
    },
  };
}

export async function checkState(app: ApiApp, name: string, state: string): Promise<boolean> {
  const { checks } = (await app.inject('/readyz')).json<{ checks: Record<string, { state: string }> }>();
  return checks[name]?.state === state;
}
