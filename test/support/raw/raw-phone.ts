import { digestCredentials } from '../../../shared/sip/digest/response.ts';
import { DOMAIN, passwordOf } from '../site-terminals.ts';
import { waitFor } from '../wait-for.ts';
import {
  bracketed,
  headerOf,
  headersOf,
  methodOf,
  newBranch,
  newToken,
  type RawHeader,
  rawRequest,
  rawResponse,
  routeSet,
  statusOf,
} from './message-text.ts';
import { type RawAddress, RawEnd, type RawTransport } from './raw-end.ts';

/** What a phone does with an INVITE. */
export type RawBehaviour =
  | 'answer'
  | 'ring'
  | 'silence'
  | { readonly status: number; readonly headers?: readonly RawHeader[] };

export interface RawPhoneOptions {
  readonly username: string;
  readonly server: RawAddress;
  readonly transport?: RawTransport;
  /** The address that it sends from. */
  readonly host?: string;
  readonly password?: string;
}

export interface RawRequestOptions {
  readonly headers?: readonly RawHeader[];
  readonly from?: string;
  readonly to?: string;
  readonly callId?: string;
  readonly body?: string;
  readonly deadlineMs?: number;
}

/** What one side knows of a call that was answered. */
export interface RawDialog {
  readonly callId: string;
  /** From and To as this side writes them. */
  readonly from: string;
  readonly to: string;
  readonly routes: readonly string[];
  /** The other side's Contact. */
  readonly target: string;
  readonly cseq: number;
}

const RESEND_MS = 500;
const MOST_REQUESTS = 1_000;
const SDP =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n';

/** A phone that writes its messages by hand, so that a test can bend any of them. Answers challenges and acknowledges. */
export class RawPhone {
  readonly username: string;
  readonly end: RawEnd;
  readonly password: string;
  /** Every request that came in, ACK included. */
  readonly requests: string[] = [];
  behaviour: RawBehaviour = 'answer';
  readonly #registration = newToken();
  #cseq = 1;
  #answered = { challenge: '', times: 0 };

  constructor(end: RawEnd, { password, username }: RawPhoneOptions) {
    this.end = end;
    this.username = username;
    this.password = password ?? passwordOf(username);
    end.onMessage = (text, source) => this.#onMessage(text, source);
  }

  static async start(options: RawPhoneOptions): Promise<RawPhone> {
    const { host = '127.0.0.1', server, transport = 'udp' } = options;
    return new RawPhone(await RawEnd.open(transport, server, { host }), options);
  }

  static async registered(options: RawPhoneOptions): Promise<RawPhone> {
    const phone = await RawPhone.start(options);
    const answer = await phone.register();
    if (statusOf(answer) !== 200) throw new Error(`registration of ${options.username}: ${answer}`);
    return phone;
  }

  get aor(): string {
    return `sip:${this.username}@${DOMAIN}`;
  }

  /** `contact` is the header's value; `*` takes every binding back. */
  register(
    contact = `<${this.end.uri(this.username)}>`,
    headers: readonly RawHeader[] = [],
  ): Promise<string> {
    return this.request('REGISTER', `sip:${DOMAIN}`, {
      to: `<${this.aor}>`,
      callId: this.#registration,
      headers: [['Contact', contact], ['Expires', contact === '*' ? '0' : '60'], ...headers],
    });
  }

  /** Sends a request, answers one challenge, acknowledges the final response of an INVITE, and resolves with it. */
  async request(method: string, uri: string, options: RawRequestOptions = {}): Promise<string> {
    const { callId = newToken(), deadlineMs = 10_000 } = options;
    const challenge = await this.#exchange(method, uri, { ...options, callId }, [], deadlineMs);
    const status = statusOf(challenge);
    if (status !== 401 && status !== 407) return challenge;
    const proof = this.credentials(challenge, method, uri);
    return this.#exchange(method, uri, { ...options, callId }, [proof], deadlineMs);
  }

  /** A request of this phone outside of any call, as text. */
  written(method: string, uri: string, headers: readonly RawHeader[] = [], callId = newToken()): string {
    this.#cseq += 1;
    return rawRequest({
      method,
      uri,
      via: this.end.via(newBranch()),
      from: `<${this.aor}>;tag=${newToken()}`,
      to: method === 'REGISTER' ? `<${this.aor}>` : `<${uri}>`,
      callId,
      cseq: this.#cseq,
      headers,
    });
  }

  /** The header that answers a challenge, as often as it is asked for. */
  credentials(challenge: string, method: string, uri: string): RawHeader {
    const proxy = statusOf(challenge) === 407;
    const offered = headersOf(challenge, proxy ? 'Proxy-Authenticate' : 'WWW-Authenticate')[0] ?? '';
    const { password, username } = this;
    const nonceCount = challenge === this.#answered.challenge ? this.#answered.times + 1 : 1;
    this.#answered = { challenge, times: nonceCount };
    const value = digestCredentials({ challenge: offered, method, uri, username, password, nonceCount });
    return [proxy ? 'Proxy-Authorization' : 'Authorization', value ?? ''];
  }

  /** An INVITE; resolves with its final response. */
  invite(uri: string, options: RawRequestOptions = {}): Promise<string> {
    return this.request('INVITE', uri.includes(':') ? uri : `sip:${uri}@${DOMAIN}`, {
      body: SDP,
      ...options,
      headers: [
        ['Contact', `<${this.end.uri(this.username)}>`],
        ['Content-Type', 'application/sdp'],
        ...(options.headers ?? []),
      ],
    });
  }

  /** A call that was answered; throws unless it was. */
  async call(uri: string, options: RawRequestOptions = {}): Promise<RawDialog> {
    const answer = await this.invite(uri, options);
    if (statusOf(answer) !== 200) throw new Error(`the call to ${uri}: ${answer}`);
    return {
      callId: headerOf(answer, 'Call-ID') ?? '',
      from: headerOf(answer, 'From') ?? '',
      to: headerOf(answer, 'To') ?? '',
      routes: routeSet(answer, 'uac'),
      target: bracketed(headerOf(answer, 'Contact')),
      cseq: Number.parseInt(headerOf(answer, 'CSeq') ?? '', 10),
    };
  }

  /** The dialog of the newest INVITE that this phone answered. */
  calledIn(): RawDialog {
    const invite = this.requests.findLast((text) => methodOf(text) === 'INVITE') ?? '';
    return {
      callId: headerOf(invite, 'Call-ID') ?? '',
      from: `${headerOf(invite, 'To')};tag=${this.#tag}`,
      to: headerOf(invite, 'From') ?? '',
      routes: routeSet(invite, 'uas'),
      target: bracketed(headerOf(invite, 'Contact')),
      cseq: 1_000,
    };
  }

  /** A request in a dialog, written to `end` (this phone's own unless given), bent by `changes`. Returns its text. */
  inDialog(
    method: string,
    dialog: RawDialog,
    changes: Partial<RawDialog> & { readonly headers?: readonly RawHeader[]; readonly end?: RawEnd } = {},
  ): string {
    const { end = this.end, headers = [], ...given } = changes;
    const { callId, cseq, from, routes, target, to } = { ...dialog, ...given };
    const contact: RawHeader[] =
      method === 'INVITE' || method === 'UPDATE' ? [['Contact', `<${end.uri(this.username)}>`]] : [];
    const text = rawRequest({
      method,
      uri: target,
      via: end.via(newBranch()),
      from,
      to,
      callId,
      cseq: method === 'ACK' ? cseq : (given.cseq ?? cseq + 1),
      headers: [...routes.map((route): RawHeader => ['Route', route]), ...contact, ...headers],
    });
    end.send(text);
    return text;
  }

  /** The request of this method and Call-ID that came in. */
  got(method: string, callId: string, deadlineMs = 5_000): Promise<string> {
    return waitFor(() => this.find(method, callId), {
      what: `${method} of ${callId} at ${this.username}`,
      deadlineMs,
      everyMs: 4,
    });
  }

  find(method: string, callId: string): string | undefined {
    return this.requests.find((text) => methodOf(text) === method && headerOf(text, 'Call-ID') === callId);
  }

  stop(): void {
    this.end.close();
  }

  get #tag(): string {
    return `tag-${this.username}`;
  }

  async #exchange(
    method: string,
    uri: string,
    options: RawRequestOptions & { readonly callId: string },
    proof: readonly RawHeader[],
    deadlineMs: number,
  ): Promise<string> {
    this.#cseq += 1;
    const cseq = this.#cseq;
    const { body = '', callId, from = `<${this.aor}>`, headers = [], to = `<${uri}>` } = options;
    const branch = newBranch();
    const draft = {
      uri,
      via: this.end.via(branch),
      from: `${from};tag=${newToken()}`,
      to,
      callId,
      cseq,
    };
    const text = rawRequest({ ...draft, method, headers: [...headers, ...proof], body });
    this.end.send(text);
    const again =
      this.end.transport === 'udp'
        ? setInterval(() => this.#resend(text, callId, cseq), RESEND_MS)
        : undefined;
    const final = await this.end.final(callId, cseq, deadlineMs).finally(() => clearInterval(again));
    if (method === 'INVITE') this.#acknowledge(final, draft);
    return final;
  }

  #resend(text: string, callId: string, cseq: number): void {
    if (this.end.answersTo(callId, cseq).length === 0) this.end.send(text);
  }

  #acknowledge(final: string, draft: Omit<Parameters<typeof rawRequest>[0], 'method'>): void {
    const answered = statusOf(final) < 300;
    const routes = answered ? routeSet(final, 'uac').map((route): RawHeader => ['Route', route]) : [];
    const target = answered ? bracketed(headerOf(final, 'Contact')) : draft.uri;
    this.end.send(
      rawRequest({
        ...draft,
        method: 'ACK',
        uri: target,
        via: answered ? this.end.via(newBranch()) : draft.via,
        to: headerOf(final, 'To') ?? '',
        headers: routes,
      }),
    );
  }

  #onMessage(text: string, source: string): void {
    const method = methodOf(text);
    if (method === '') return;
    this.requests.push(text);
    if (this.requests.length > MOST_REQUESTS) this.requests.splice(0, MOST_REQUESTS / 2);
    if (method === 'ACK' || this.behaviour === 'silence') return;
    const answer = (status: number, headers: readonly RawHeader[] = [], body = ''): void =>
      this.end.send(rawResponse(text, status, this.#tag, headers, body), source);
    const contact: RawHeader = ['Contact', `<${this.end.uri(this.username)}>`];
    if (method !== 'INVITE') answer(200);
    else if (typeof this.behaviour === 'object') answer(this.behaviour.status, this.behaviour.headers);
    else {
      answer(180, [contact]);
      if (this.behaviour === 'answer') answer(200, [contact, ['Content-Type', 'application/sdp']], SDP);
    }
  }
}
