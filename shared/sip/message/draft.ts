import { splitOutsideQuotes } from '../syntax/lexical.ts';
import { canonicalName } from './header-names.ts';
import type { SipMessage } from './message.ts';
import { line } from './response.ts';

/**
 * A message being edited before it is sent. Untouched headers stay intervals of the original text and are copied
 * byte for byte when serialised; only edited ones are written anew.
 */
export class MessageDraft {
  /** Without CRLF. */
  startLine: string;
  readonly #source: SipMessage | undefined;
  readonly #names: string[];
  /** A header line of the source by its index, or a line of its own with CRLF. */
  readonly #lines: (number | string)[];
  #body: string | undefined;

  private constructor(startLine: string, source: SipMessage | undefined) {
    this.startLine = startLine;
    this.#source = source;
    this.#names = source === undefined ? [] : source.layout.names.slice();
    this.#lines = this.#names.map((_, index) => index);
  }

  /** An editable copy; the message itself never changes. */
  static from(message: SipMessage): MessageDraft {
    return new MessageDraft(message.text.slice(0, message.layout.startLineEnd), message);
  }

  static request(method: string, requestUri: string): MessageDraft {
    return new MessageDraft(`${method} ${requestUri} SIP/2.0`, undefined);
  }

  /** RFC 3261 16.6 item 2; for requests only. */
  setRequestUri(requestUri: string): void {
    this.startLine = `${this.startLine.slice(0, this.startLine.indexOf(' '))} ${requestUri} SIP/2.0`;
  }

  /** The first value line of that name, as it will be sent. */
  header(name: string): string | undefined {
    const index = this.#names.indexOf(canonicalName(name));
    return index < 0 ? undefined : this.#valueOf(index);
  }

  /** Every value of a comma-separated header, in order. */
  values(name: string): readonly string[] {
    const canonical = canonicalName(name);
    const values: string[] = [];
    this.#names.forEach((each, index) => {
      if (each === canonical) values.push(...splitOutsideQuotes(this.#valueOf(index), ','));
    });
    return values;
  }

  /** Adds a line before the first of that name, or before all headers: Via, Route, Record-Route, Path. */
  push(name: string, value: string): void {
    const canonical = canonicalName(name);
    const index = Math.max(0, this.#names.indexOf(canonical));
    this.#names.splice(index, 0, canonical);
    this.#lines.splice(index, 0, line(canonical, value));
  }

  /** Adds a line after all headers. */
  append(name: string, value: string): void {
    const canonical = canonicalName(name);
    this.#names.push(canonical);
    this.#lines.push(line(canonical, value));
  }

  /** Replaces the first line of that name and removes the others; appends when there is none. */
  set(name: string, value: string): void {
    const canonical = canonicalName(name);
    const index = this.#names.indexOf(canonical);
    if (index < 0) {
      this.append(name, value);
      return;
    }
    this.#lines[index] = line(canonical, value);
    for (let i = this.#names.indexOf(canonical, index + 1); i >= 0; i = this.#names.indexOf(canonical, i)) {
      this.#removeAt(i);
    }
  }

  /** Removes every line of that name. */
  remove(name: string): void {
    const canonical = canonicalName(name);
    for (let i = this.#names.indexOf(canonical); i >= 0; i = this.#names.indexOf(canonical, i))
      this.#removeAt(i);
  }

  /** Takes off the first value of a comma-separated header and returns it. */
  pop(name: string): string | undefined {
    const canonical = canonicalName(name);
    const index = this.#names.indexOf(canonical);
    if (index < 0) return undefined;
    const [first, ...rest] = splitOutsideQuotes(this.#valueOf(index), ',');
    if (rest.length === 0) this.#removeAt(index);
    else this.#lines[index] = line(canonical, rest.join(', '));
    return first;
  }

  /** Replaces the body (latin1) and its type; Content-Length follows when serialised. */
  setBody(body: string, contentType: string): void {
    this.#body = body;
    this.set('content-type', contentType);
  }

  /** The message's text. Content-Length is written only where it is missing or wrong, so a sound message keeps its own. */
  serialize(): string {
    const body = this.#body ?? this.#source?.body ?? '';
    if (this.header('content-length') !== String(body.length))
      this.set('content-length', String(body.length));
    let text = `${this.startLine}\r\n`;
    for (let i = 0; i < this.#lines.length; i++) {
      const own = this.#lines[i];
      if (typeof own === 'string') {
        text += own;
        continue;
      }
      let last = i;
      while (last + 1 < this.#lines.length && this.#lines[last + 1] === (own ?? 0) + last + 1 - i) last++;
      text += this.#sourceSlice(own ?? 0, (own ?? 0) + last - i);
      i = last;
    }
    return `${text}\r\n${body}`;
  }

  #removeAt(index: number): void {
    this.#names.splice(index, 1);
    this.#lines.splice(index, 1);
  }

  #valueOf(index: number): string {
    const own = this.#lines[index];
    if (typeof own === 'string') return own.slice(own.indexOf(':') + 2, -2);
    return this.#source?.valueAt(own ?? 0) ?? '';
  }

  /** Source header lines `first` to `last` with their CRLFs. */
  #sourceSlice(first: number, last: number): string {
    if (this.#source === undefined) return '';
    const { lines } = this.#source.layout;
    return `${this.#source.text.slice(lines[first * 3], lines[last * 3 + 2])}\r\n`;
  }
}
