import { type CSeq, parseCSeq } from '../syntax/cseq.ts';
import { parseCount, splitOutsideQuotes, trimmed, unfolded } from '../syntax/lexical.ts';
import { type NameAddr, parseNameAddr } from '../syntax/name-addr.ts';
import { parseUri, type Uri } from '../syntax/uri.ts';
import { parseVia, type Via } from '../syntax/via.ts';
import { canonicalName } from './header-names.ts';

/** Where the parts of a message lie in its text. `lines` holds, per header, its start, its value's start and its end. */
export interface Layout {
  readonly startLineEnd: number;
  readonly names: readonly string[];
  readonly lines: readonly number[];
  readonly bodyStart: number;
  /** The first header line that breaks RFC 3261 7.3; the rest is still readable. */
  readonly fault: string | undefined;
}

type Lazy<T> = T | undefined | 'unread';

/** A received or serialised message: its latin1 text and the offsets of its headers. Values are read when asked for. */
export abstract class SipMessage {
  readonly text: string;
  readonly layout: Layout;
  #topVia: Lazy<Via> = 'unread';
  #from: Lazy<NameAddr> = 'unread';
  #to: Lazy<NameAddr> = 'unread';
  #cseq: Lazy<CSeq> = 'unread';
  #callId: Lazy<string> = 'unread';

  constructor(text: string, layout: Layout) {
    this.text = text;
    this.layout = layout;
  }

  /** Takes over what was read of a message that differs from this one in its Vias only. */
  adopt(read: SipMessage): this {
    this.#from = read.#from;
    this.#to = read.#to;
    this.#cseq = read.#cseq;
    this.#callId = read.#callId;
    return this;
  }

  /** The index of the first header of that canonical name at or after `from`, or -1. */
  indexOf(canonical: string, from = 0): number {
    return this.layout.names.indexOf(canonical, from);
  }

  /** The value of header line `index`, unfolded and trimmed. */
  valueAt(index: number): string {
    const start = this.layout.lines[index * 3 + 1] ?? 0;
    const end = this.layout.lines[index * 3 + 2] ?? 0;
    return unfolded(trimmed(this.text, start, end));
  }

  /** The value of the first header line of that name. */
  header(name: string): string | undefined {
    const index = this.indexOf(canonicalName(name));
    return index < 0 ? undefined : this.valueAt(index);
  }

  /** The values of every header line of that name, one entry a line. */
  headerLines(name: string): readonly string[] {
    const canonical = canonicalName(name);
    const values: string[] = [];
    for (let i = this.indexOf(canonical); i >= 0; i = this.indexOf(canonical, i + 1))
      values.push(this.valueAt(i));
    return values;
  }

  /** Every value of a comma-separated header over all its lines, in order (RFC 3261 7.3.1). Empty values are left out. */
  values(name: string): readonly string[] {
    const canonical = canonicalName(name);
    const values: string[] = [];
    for (let i = this.indexOf(canonical); i >= 0; i = this.indexOf(canonical, i + 1)) {
      for (const value of splitOutsideQuotes(this.valueAt(i), ',')) if (value !== '') values.push(value);
    }
    return values;
  }

  /** Header lines of that name. */
  count(name: string): number {
    const canonical = canonicalName(name);
    let count = 0;
    for (const each of this.layout.names) if (each === canonical) count++;
    return count;
  }

  get topVia(): Via | undefined {
    if (this.#topVia === 'unread') {
      const line = this.header('via');
      this.#topVia = line === undefined ? undefined : parseVia(splitOutsideQuotes(line, ',')[0] ?? '');
    }
    return this.#topVia;
  }

  get from(): NameAddr | undefined {
    if (this.#from === 'unread') this.#from = parsed(this.header('from'), parseNameAddr);
    return this.#from;
  }

  get to(): NameAddr | undefined {
    if (this.#to === 'unread') this.#to = parsed(this.header('to'), parseNameAddr);
    return this.#to;
  }

  get cseq(): CSeq | undefined {
    if (this.#cseq === 'unread') this.#cseq = parsed(this.header('cseq'), parseCSeq);
    return this.#cseq;
  }

  get callId(): string | undefined {
    if (this.#callId === 'unread') this.#callId = this.header('call-id');
    return this.#callId;
  }

  get maxForwards(): number | undefined {
    return parsed(this.header('max-forwards'), (text) => parseCount(text, 255));
  }

  /** Bytes that Content-Length announces; undefined when absent or unreadable. */
  get contentLength(): number | undefined {
    return parsed(this.header('content-length'), (text) => parseCount(text, 2 ** 31));
  }

  /** The body as latin1, cut at Content-Length (RFC 3261 18.3: a datagram may carry more). */
  get body(): string {
    const length = this.contentLength;
    const { bodyStart } = this.layout;
    return length === undefined ? this.text.slice(bodyStart) : this.text.slice(bodyStart, bodyStart + length);
  }
}

export class SipRequest extends SipMessage {
  readonly method: string;
  /** As received, byte for byte. */
  readonly requestUri: string;
  /** `SIP/2.0` in a valid request. */
  readonly version: string;
  #uri: Lazy<Uri> = 'unread';

  constructor(text: string, layout: Layout, method: string, requestUri: string, version: string) {
    super(text, layout);
    this.method = method;
    this.requestUri = requestUri;
    this.version = version;
  }

  override adopt(read: SipMessage): this {
    if (read instanceof SipRequest) this.#uri = read.#uri;
    return super.adopt(read);
  }

  get uri(): Uri | undefined {
    if (this.#uri === 'unread') this.#uri = parseUri(this.requestUri);
    return this.#uri;
  }
}

export class SipResponse extends SipMessage {
  readonly version: string;
  readonly status: number;
  readonly reason: string;

  constructor(text: string, layout: Layout, version: string, status: number, reason: string) {
    super(text, layout);
    this.version = version;
    this.status = status;
    this.reason = reason;
  }
}

function parsed<T>(value: string | undefined, parse: (text: string) => T | undefined): T | undefined {
  return value === undefined ? undefined : parse(value);
}
