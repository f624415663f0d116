import { digestCredentials } from '../../shared/sip/digest/response.ts';
import { MessageDraft } from '../../shared/sip/message/draft.ts';
import type { SipResponse } from '../../shared/sip/message/message.ts';
import { parseMessage } from '../../shared/sip/message/parse.ts';
import { type SipServer, viaValue } from '../../shared/sip/server.ts';
import { newBranch } from '../../shared/sip/transaction/identifiers.ts';
import type { ClientTransaction, ClientTransactionUser } from '../../shared/sip/transaction/user.ts';
import { waitFor } from './wait-for.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** A request of a scripted phone: answers a challenge once, acknowledges a 2xx, and keeps every response. */
export class OutgoingRequest implements ClientTransactionUser {
  /** All but the challenge that was answered. */
  readonly responses: SipResponse[] = [];
  /** The text as first sent, without Via. */
  text = '';
  readonly #stack: SipServer;
  readonly #server: string;
  readonly #credentials: Credentials | null;
  #transaction: ClientTransaction | undefined;
  #retried = false;
  #failure: string | undefined;
  #sequence = 0;
  /** As last sent, Via included: the library adds it to the draft. */
  #sent = '';

  constructor(stack: SipServer, server: string, credentials: Credentials | null) {
    this.#stack = stack;
    this.#server = server;
    this.#credentials = credentials;
  }

  start(draft: MessageDraft): void {
    this.text = draft.serialize();
    this.#sequence = Number(draft.header('cseq')?.split(' ')[0]);
    this.#dispatch(draft);
  }

  get callId(): string {
    return this.#parsed().header('call-id') ?? '';
  }

  get statuses(): readonly number[] {
    return this.responses.map((response) => response.status);
  }

  final(deadlineMs = 10_000): Promise<SipResponse> {
    return waitFor(
      () => {
        const final = this.responses.find((response) => response.status >= 200);
        if (final === undefined) throw new Error(this.#failure ?? `so far: ${this.statuses.join(', ')}`);
        return final;
      },
      { what: 'the final response', deadlineMs, everyMs: 5 },
    );
  }

  provisional(status: number): Promise<SipResponse> {
    return waitFor(() => this.responses.find((response) => response.status === status), {
      what: `a ${status}`,
      everyMs: 5,
    });
  }

  /** Sends CANCEL; the INVITE's own final response still comes. */
  cancel(): void {
    this.#transaction?.cancel();
  }

  /** A re-INVITE in the dialog that the 2xx opened. */
  async reInvite(): Promise<SipResponse> {
    this.#sequence += 1;
    const again = new OutgoingRequest(this.#stack, this.#dialogHop(), null);
    const draft = this.#dialogDraft('INVITE', this.#sequence);
    draft.append('Contact', this.#parsed().header('contact') ?? '');
    again.start(draft);
    return again.final();
  }

  /** The very datagram of the last INVITE once more. */
  retransmit(): void {
    this.#transaction?.flow.send(this.#sent);
  }

  /** A request in the dialog that the 2xx opened, to change and to send from anywhere. */
  draftInDialog(method: string): MessageDraft {
    this.#sequence += 1;
    return this.#dialogDraft(method, this.#sequence);
  }

  /** BYE in the dialog that the 2xx opened. */
  async hangUp(): Promise<SipResponse> {
    const bye = new OutgoingRequest(this.#stack, this.#dialogHop(), null);
    bye.start(this.#dialogDraft('BYE', this.#sequence + 1));
    return bye.final();
  }

  onResponse(response: SipResponse, transaction: ClientTransaction): void {
    this.#transaction = transaction;
    if ((response.status === 401 || response.status === 407) && this.#answerChallenge(response)) return;
    this.responses.push(response);
    if (response.status >= 200 && response.status < 300 && response.cseq?.method === 'INVITE')
      this.#acknowledge();
  }

  onTimeout(): void {
    this.#failure = 'no final response: timed out';
  }

  onTransportError(error: Error): void {
    this.#failure = `transport error: ${error.message}`;
  }

  #dispatch(draft: MessageDraft): void {
    this.#stack.request(draft, { uri: this.#server }, this);
    this.#sent = draft.serialize();
  }

  #answerChallenge(response: SipResponse): boolean {
    if (this.#credentials === null || this.#retried) return false;
    this.#retried = true;
    const proxy = response.status === 407;
    const challenge = response.headerLines(proxy ? 'proxy-authenticate' : 'www-authenticate')[0] ?? '';
    const message = this.#parsed();
    const draft = MessageDraft.from(message);
    const [method = '', uri = ''] = draft.startLine.split(' ');
    const value = digestCredentials({ challenge, method, uri, ...this.#credentials });
    draft.set(proxy ? 'proxy-authorization' : 'authorization', value ?? '');
    this.#sequence += 1;
    draft.set('cseq', `${this.#sequence} ${method}`);
    this.#dispatch(draft);
    return true;
  }

  #acknowledge(): void {
    const draft = this.#dialogDraft('ACK', this.#sequence);
    this.#stack.route({ uri: this.#dialogHop() }, (flow) => {
      if (flow instanceof Error) return;
      draft.push('via', viaValue(flow, newBranch()));
      flow.send(draft.serialize());
    });
  }

  #dialogDraft(method: string, sequence: number): MessageDraft {
    const answer = this.#answer();
    const draft = MessageDraft.request(method, (answer.values('contact')[0] ?? '').replace(/^<|>.*$/g, ''));
    for (const route of answer.values('record-route').toReversed()) draft.append('Route', route);
    draft.append('Max-Forwards', '70');
    draft.append('From', answer.header('from') ?? '');
    draft.append('To', answer.header('to') ?? '');
    draft.append('Call-ID', answer.callId ?? '');
    draft.append('CSeq', `${sequence} ${method}`);
    return draft;
  }

  #dialogHop(): string {
    const answer = this.#answer();
    const next = answer.values('record-route').at(-1) ?? answer.values('contact')[0] ?? '';
    return next.replace(/^<|>.*$/g, '');
  }

  #answer(): SipResponse {
    const answer = this.responses.find((response) => response.status >= 200 && response.status < 300);
    if (answer === undefined) throw new Error('the call was not answered');
    return answer;
  }

  #parsed() {
    const message = parseMessage(this.text);
    if (message === undefined) throw new Error('the request does not parse');
    return message;
  }
}
