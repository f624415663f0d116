/** Server-sent events (WHATWG HTML 9.2) by fetch: an EventSource cannot send a token in a header. */

export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/** Takes the text of a stream as it comes, cut anywhere; returns the events that are whole by now. */
export function eventParser(): (text: string) => ServerEvent[] {
  let rest = '';
  return (text) => {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    return blocks.flatMap((block) => {
      const field = (name: string) =>
        block
          .split('\n')
          .filter((line) => line.startsWith(`${name}: `))
          .map((line) => line.slice(name.length + 2))
          .join('\n');
      const data = field('data');
      return data === '' ? [] : [{ event: field('event'), data }];
    });
  };
}

/** The api sends at least a comment every 15 s. */
const SILENT_MS = 35_000;

/** Reads until the stream ends, fails or is silent; always rejects. */
export async function readEvents(
  open: (signal: AbortSignal) => Promise<Response>,
  onEvent: (event: ServerEvent) => void,
  ended: AbortSignal,
): Promise<never> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENT_MS);
  try {
    const { body } = await open(AbortSignal.any([ended, silence.signal]));
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
    const parse = eventParser();
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENT_MS);
      for (const event of parse(part.value)) onEvent(event);
    }
    throw new Error('the stream of events has ended');
  } finally {
    clearTimeout(timer);
  }
}
