import type { Limits } from '../message/limits.ts';
import type { SipMessage } from '../message/message.ts';
import { parseMessage, relaid } from '../message/parse.ts';
import { isKeepalive } from './keepalive.ts';

/** What a stream yields. After `broken` its framing is lost: answer what can be answered and close. */
export type Frame =
  | { readonly kind: 'message'; readonly message: SipMessage }
  | { readonly kind: 'ping' }
  | { readonly kind: 'broken'; readonly message: SipMessage | undefined };

const END_OF_HEAD = '\r\n\r\n';

/** Cuts a byte stream into messages by Content-Length (RFC 3261 18.3, 7.5). Holds at most one message. */
export class StreamFramer {
  readonly #limits: Limits;
  #pending = '';
  /** Where the search for the end of the head goes on, so that a trickle is not searched again from its start. */
  #searched = 0;
  #head: SipMessage | undefined;
  #needed = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** True while part of a message waits for the rest. */
  get partial(): boolean {
    return !isKeepalive(this.#pending);
  }

  push(text: string): void {
    this.#pending += text;
  }

  /** The next complete frame; undefined when more bytes are needed. */
  next(): Frame | undefined {
    if (this.#head === undefined) {
      const early = this.#skipLineEnds() ?? this.#readHead();
      if (early !== undefined || this.#head === undefined) return early;
    }
    if (this.#pending.length < this.#needed) return undefined;
    const message = relaid(this.#head, this.#pending.slice(0, this.#needed), this.#head.layout);
    this.#pending = this.#pending.slice(this.#needed);
    this.#head = undefined;
    this.#searched = 0;
    return { kind: 'message', message };
  }

  /** CRLFs between messages are ignored (RFC 3261 7.5), a double one is a ping (RFC 5626 4.4.1). */
  #skipLineEnds(): Frame | undefined {
    if (this.#searched > 0) return undefined;
    if (this.#pending.startsWith(END_OF_HEAD)) {
      this.#pending = this.#pending.slice(END_OF_HEAD.length);
      return { kind: 'ping' };
    }
    // A lone CRLF may be the first half of a ping: it waits for what follows it.
    if (this.#pending.startsWith('\r\n') && this.#pending.length > 3) this.#pending = this.#pending.slice(2);
    return undefined;
  }

  #readHead(): Frame | undefined {
    const end = this.#pending.indexOf(END_OF_HEAD, this.#searched);
    if (end < 0) return this.#unfinishedHead();
    const head = parseMessage(this.#pending.slice(0, end + END_OF_HEAD.length), this.#limits);
    if (head === undefined) return { kind: 'broken', message: undefined };
    const length = head.contentLength;
    const fault = length === undefined ? 'Content-Length missing or unreadable' : head.layout.fault;
    const needed = head.layout.bodyStart + (length ?? 0);
    if (fault !== undefined || needed > this.#limits.messageBytes) {
      return { kind: 'broken', message: relaid(head, head.text, { ...head.layout, fault }) };
    }
    this.#head = head;
    this.#needed = needed;
    return undefined;
  }

  #unfinishedHead(): Frame | undefined {
    if (this.#pending.length > this.#limits.messageBytes) {
      return { kind: 'broken', message: parseMessage(this.#pending, this.#limits) };
    }
    this.#searched = Math.max(0, this.#pending.length - 3);
    return undefined;
  }
}
