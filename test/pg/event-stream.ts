import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { expect } from 'vitest';

/** What has come of a stream of server-sent events. */
export interface EventStream {
  // biome-ignore lint/suspicious/noExplicitAny: events of every shape.
  of(event: string): any[];
  ended(): boolean;
  close(): void;
}

export async function openEvents(at: number, token: string): Promise<EventStream> {
  let text = '';
  let ended = false;
  let asked: ClientRequest | undefined;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    asked = get({ port: at, path: '/v1/events', headers: { authorization: `Bearer ${token}` } }, resolve).on(
      'error',
      reject,
    );
  });
  expect(answer.headers['content-type']).toContain('text/event-stream');
  answer.setEncoding('utf8');
  answer.on('data', (part: string) => {
    text += part;
  });
  answer.on('close', () => {
    ended = true;
  });
  answer.on('error', () => {});
  return {
    of: (event) =>
      [...text.matchAll(/event: (\w+)\ndata: (.*)\n\n/g)]
        .filter(([, name]) => name === event)
        .map(([, , data]) => JSON.parse(data ?? '')),
    ended: () => ended,
    close: () => asked?.destroy(),
  };
}
