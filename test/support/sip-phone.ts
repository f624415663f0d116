import { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { HeaderLine } from '../../shared/sip/message/response.ts';
import { SipServer } from '../../shared/sip/server.ts';
import { newTag } from '../../shared/sip/transaction/identifiers.ts';
import type { ServerTransaction } from '../../shared/sip/transaction/user.ts';
import { AUDIO, IncomingCall } from './sip-phone-incoming.ts';
import { type Credentials, OutgoingRequest } from './sip-phone-outgoing.ts';
import { waitFor } from './wait-for.ts';

export interface PhoneOptions extends Credentials {
  readonly domain?: string;
  /** Where requests go: `sip:127.0.0.1:5060`, with `;transport=tcp` over TCP. */
  readonly server: string;
  /** The address it sends from; 127.0.0.1 unless it is to be told apart from other phones by it. */
  readonly host?: string;
  /** Sends no credentials even when challenged. */
  readonly anonymous?: boolean;
}

export interface RequestOptions {
  readonly headers?: readonly HeaderLine[];
  readonly body?: string;
  readonly from?: string;
  /** Instead of `sip:<dialed>@<domain>`. */
  readonly uri?: string;
  readonly callId?: string;
}

/** What the phone does with a call by itself. `manual`: the test decides. */
export type Behaviour =
  | 'manual'
  | 'ring'
  | 'answer'
  | { readonly status: number; readonly reason?: string; readonly headers?: readonly HeaderLine[] };

/** A scripted phone on the SIP library: registers with digest, calls, answers, and keeps all it heard. */
export class SipPhone {
  readonly options: PhoneOptions;
  readonly stack: SipServer;
  readonly incoming: IncomingCall[] = [];
  readonly requests: SipRequest[] = [];
  behaviour: Behaviour = 'ring';
  readonly #registration = { callId: newTag(), sequence: 0 };

  constructor(options: PhoneOptions) {
    this.options = options;
    const transport = options.server.includes('transport=tcp') ? 'tcp' : 'udp';
    this.stack = new SipServer({
      listeners: [{ transport, host: options.host ?? '127.0.0.1', port: 0 }],
      onRequest: (request, transaction) => this.#onRequest(request, transaction),
      onAck: (ack) => this.requests.push(ack),
    });
  }

  static async start(options: PhoneOptions): Promise<SipPhone> {
    const phone = new SipPhone(options);
    await phone.stack.start();
    return phone;
  }

  /** A phone that is registered. */
  static async registered(options: PhoneOptions): Promise<SipPhone> {
    const phone = await SipPhone.start(options);
    const response = await phone.register().final();
    if (response.status !== 200)
      throw new Error(`registration failed: ${response.status} ${response.reason}`);
    return phone;
  }

  get contact(): string {
    const [listener] = this.stack.listeners;
    const parameter = listener?.transport === 'tcp' ? ';transport=tcp' : '';
    return `sip:${this.options.username}@${listener?.sentBy}${parameter}`;
  }

  register(expires = 60, headers?: readonly HeaderLine[]): OutgoingRequest {
    const { domain = 'lastcall.test', username } = this.options;
    this.#registration.sequence += 2;
    const draft = this.#draft('REGISTER', `sip:${domain}`, `sip:${username}@${domain}`, {
      callId: this.#registration.callId,
      headers: headers ?? [
        ['Contact', `<${this.contact}>`],
        ['Expires', String(expires)],
      ],
    });
    draft.set('cseq', `${this.#registration.sequence} REGISTER`);
    return this.#send(draft);
  }

  /** An INVITE; `final()` of the result is the answer after credentials were given. */
  invite(dialed: string, options: RequestOptions = {}): OutgoingRequest {
    const { domain = 'lastcall.test' } = this.options;
    const uri = options.uri ?? `sip:${dialed}@${domain}`;
    const draft = this.#draft('INVITE', uri, uri, options);
    draft.append('Contact', `<${this.contact}>`);
    draft.setBody(options.body ?? AUDIO, 'application/sdp');
    return this.#send(draft);
  }

  request(method: string, uri: string, options: RequestOptions = {}): OutgoingRequest {
    return this.#send(this.#draft(method, uri, uri, options));
  }

  /** The next call that came in, or the one with that number of arrival (0 is the first). */
  call(number = 0): Promise<IncomingCall> {
    return waitFor(() => this.incoming[number], {
      what: `incoming call ${number} at ${this.options.username}`,
    });
  }

  /** True once a registration was sent that none has taken back. */
  get isRegistered(): boolean {
    return this.#registration.sequence > 0;
  }

  /** Takes every binding of the address of record back; a server that is gone has nothing to take back. */
  async unregister(): Promise<void> {
    const removal: HeaderLine[] = [
      ['Contact', '*'],
      ['Expires', '0'],
    ];
    await this.register(0, removal)
      .final(2_000)
      .catch(() => undefined);
    this.#registration.sequence = 0;
  }

  async stop(): Promise<void> {
    await this.stack.stop();
  }

  #draft(method: string, uri: string, to: string, options: RequestOptions): MessageDraft {
    const { domain = 'lastcall.test', username } = this.options;
    const draft = MessageDraft.request(method, uri);
    draft.append('Max-Forwards', '70');
    draft.append('From', `${options.from ?? `<sip:${username}@${domain}>`};tag=${newTag()}`);
    draft.append('To', `<${to}>`);
    draft.append('Call-ID', options.callId ?? newTag());
    draft.append('CSeq', `1 ${method}`);
    for (const [name, value] of options.headers ?? [])
      if (OWN_HEADERS.includes(name)) draft.set(name, value);
      else draft.append(name, value);
    return draft;
  }

  #send(draft: MessageDraft): OutgoingRequest {
    const { anonymous, password, server, username } = this.options;
    const outgoing = new OutgoingRequest(this.stack, server, anonymous ? null : { username, password });
    outgoing.start(draft);
    return outgoing;
  }

  #onRequest(request: SipRequest, transaction: ServerTransaction): void {
    this.requests.push(request);
    if (request.method !== 'INVITE') {
      transaction.reply({ status: 200 });
      return;
    }
    const call = new IncomingCall(request, transaction, this.contact);
    this.incoming.push(call);
    const { behaviour } = this;
    if (behaviour === 'manual') return;
    if (typeof behaviour === 'object') call.reject(behaviour.status, behaviour.reason, behaviour.headers);
    else {
      call.ring();
      if (behaviour === 'answer') call.answer();
    }
  }
}

/** Headers of every request, which a test may replace. */
const OWN_HEADERS = ['Max-Forwards', 'From', 'To', 'Call-ID', 'CSeq'];
