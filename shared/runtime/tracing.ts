import { randomBytes } from 'node:crypto';
import { httpRequest } from './http-request.ts';

/** What a span says of itself; numbers are told as numbers. */
export type Attributes = Readonly<Record<string, string | number | boolean | null>>;

/** A part of a trace. Ends once; what ends after it is told all the same. */
export interface Span {
  child(name: string, attributes?: Attributes): Span;
  end(attributes?: Attributes): void;
}

export interface TracerOptions {
  /** An OTLP/HTTP collector's address for traces, such as http://127.0.0.1:4318/v1/traces. */
  readonly url: string;
  /** Of a hundred traces so many are kept. */
  readonly samplePercent: number;
  readonly service: string;
  readonly site: string;
  /** Microseconds of Unix time. */
  readonly clock: () => number;
  readonly onError: (error: unknown) => void;
}

interface EndedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly object[];
}

const EVERY_MS = 500;
const MOST_WAITING = 10_000;
const INTERNAL = 1;
const SERVER = 2;
const TIMEOUT_MS = 5_000;

/** Traces as OpenTelemetry's OTLP over HTTP and JSON takes them, sent in batches and kept nowhere when nobody takes them. */
export class Tracer {
  readonly #options: TracerOptions;
  #waiting: EndedSpan[] = [];
  #timer: NodeJS.Timeout | null = null;
  #flight: Promise<void> | null = null;

  constructor(options: TracerOptions) {
    this.#options = options;
  }

  /** The first span of a new trace; undefined for one that is not kept. */
  start(name: string, attributes: Attributes = {}): Span | undefined {
    if (Math.random() * 100 >= this.#options.samplePercent) return undefined;
    return this.#span(randomBytes(16).toString('hex'), undefined, name, SERVER, attributes);
  }

  /** Sends what has ended. */
  async stop(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    await this.#flight;
    await this.#send();
  }

  #span(
    traceId: string,
    parentSpanId: string | undefined,
    name: string,
    kind: number,
    attributes: Attributes,
  ): Span {
    const spanId = randomBytes(8).toString('hex');
    const began = this.#options.clock();
    let open = true;
    return {
      child: (childName, more = {}) => this.#span(traceId, spanId, childName, INTERNAL, more),
      end: (more = {}) => {
        if (!open) return;
        open = false;
        this.#ended({
          traceId,
          spanId,
          ...(parentSpanId !== undefined && { parentSpanId }),
          name,
          kind,
          startTimeUnixNano: `${began}000`,
          endTimeUnixNano: `${this.#options.clock()}000`,
          attributes: asAttributes({ ...attributes, ...more }),
        });
      },
    };
  }

  #ended(span: EndedSpan): void {
    if (this.#waiting.length >= MOST_WAITING) return;
    this.#waiting.push(span);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#flight ??= this.#send().finally(() => {
        this.#flight = null;
      });
    }, EVERY_MS).unref();
  }

  async #send(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const { onError, service, site, url } = this.#options;
    const spans = this.#waiting;
    this.#waiting = [];
    const resource = {
      attributes: asAttributes({ 'service.name': `lastcall-${service}`, 'lastcall.site': site }),
    };
    const body = JSON.stringify({
      resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'lastcall' }, spans }] }],
    });
    try {
      const answer = await httpRequest(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        timeoutMs: TIMEOUT_MS,
      });
      if (answer.status >= 300) onError(new Error(`the collector answered ${answer.status}`));
    } catch (error) {
      onError(error);
    }
  }
}

function asAttributes(attributes: Attributes): object[] {
  return Object.entries(attributes)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => ({ key, value: asValue(value) }));
}

function asValue(value: Attributes[string]): object {
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number')
    return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  return { stringValue: String(value) };
}
