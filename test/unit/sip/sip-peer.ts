import { MessageDraft } from '../../../shared/sip/message/draft.ts';
import type { SipRequest, SipResponse } from '../../../shared/sip/message/message.ts';
import { type Hop, SipServer, type SipServerOptions } from '../../../shared/sip/server.ts';
import { newTag } from '../../../shared/sip/transaction/identifiers.ts';
import type {
  ClientTransaction,
  ClientTransactionUser,
  ServerTransaction,
} from '../../../shared/sip/transaction/user.ts';
import { waitFor } from '../../support/wait-for.ts';

/** A request that a peer sent, with everything it heard about it. */
export class Outgoing implements ClientTransactionUser {
  readonly responses: SipResponse[] = [];
  failure: 'timeout' | 'transport-error' | undefined;
  transaction: ClientTransaction | undefined;

  onResponse(response: SipResponse, transaction: ClientTransaction): void {
    this.transaction = transaction;
    this.responses.push(response);
  }

  onTimeout(): void {
    this.failure = 'timeout';
  }

  onTransportError(): void {
    this.failure = 'transport-error';
  }

  get statuses(): readonly number[] {
    return this.responses.map((response) => response.status);
  }

  /** The final response, or the first of that status. */
  response(status?: number): Promise<SipResponse> {
    const wanted = (each: SipResponse): boolean =>
      status === undefined ? each.status >= 200 : each.status === status;
    return waitFor(() => this.responses.find(wanted), { what: `a response ${status ?? 'that is final'}` });
  }
}

export interface Call {
  readonly method?: string;
  readonly uri: string;
  readonly hop: Hop;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
}

/** A phone made of the library itself: answers as `onRequest` says, and calls. */
export class SipPeer {
  readonly server: SipServer;
  readonly requests: SipRequest[] = [];
  readonly acks: SipRequest[] = [];
  readonly transactions: ServerTransaction[] = [];
  onRequest: (request: SipRequest, transaction: ServerTransaction) => void = (request, transaction) =>
    transaction.reply({ status: 200, headers: [['Contact', `<${this.contact(request)}>`]] });
  #calls = 0;

  constructor(listeners: SipServerOptions['listeners']) {
    this.server = new SipServer({
      listeners,
      onRequest: (request, transaction) => {
        this.requests.push(request);
        this.transactions.push(transaction);
        this.onRequest(request, transaction);
      },
      onAck: (ack) => this.acks.push(ack),
    });
  }

  static async start(...transports: readonly ('udp' | 'tcp')[]): Promise<SipPeer> {
    const peer = new SipPeer(transports.map((transport) => ({ transport, host: '127.0.0.1', port: 0 })));
    await peer.server.start();
    return peer;
  }

  /** This peer as a Request-URI, on its listener of that number. */
  uri(index = 0): string {
    const listener = this.server.listeners[index];
    const parameter = listener?.transport === 'tcp' ? ';transport=tcp' : '';
    return `sip:peer@${listener?.sentBy}${parameter}`;
  }

  request(method: string, atLeast = 1): Promise<SipRequest> {
    const wanted = (): SipRequest | undefined =>
      this.requests.filter((request) => request.method === method)[atLeast - 1];
    return waitFor(wanted, { what: `request ${method} number ${atLeast}` });
  }

  send(call: Call): Outgoing {
    const { method = 'INVITE' } = call;
    const draft = MessageDraft.request(method, call.uri);
    draft.append('Max-Forwards', '70');
    draft.append('From', `<sip:caller@example.com>;tag=${newTag()}`);
    draft.append('To', '<sip:callee@example.com>');
    draft.append('Call-ID', `${newTag()}-${++this.#calls}`);
    draft.append('CSeq', `1 ${method}`);
    draft.append('Contact', `<${this.uri()}>`);
    for (const [name, value] of call.headers ?? []) draft.append(name, value);
    if (call.body !== undefined) draft.setBody(call.body, 'application/sdp');
    return this.#dispatch(draft, call.hop);
  }

  /** A request in the dialog that `answer` opened, from the caller's side. */
  sendInDialog(method: string, answer: SipResponse, sequence = 2): Outgoing {
    const draft = dialogDraft(method, answer, answer.values('record-route').toReversed(), sequence);
    draft.append('From', answer.header('from') ?? '');
    draft.append('To', answer.header('to') ?? '');
    return this.#dispatchDialog(draft);
  }

  /** A request in the dialog that `invite` opened, from the callee's side. */
  sendBack(method: string, invite: SipRequest, localTag: string): Outgoing {
    const draft = dialogDraft(method, invite, invite.values('record-route'), 1);
    draft.append('From', `${invite.header('to')};tag=${localTag}`);
    draft.append('To', invite.header('from') ?? '');
    return this.#dispatchDialog(draft);
  }

  async stop(): Promise<void> {
    await this.server.stop();
  }

  private contact(request: SipRequest): string {
    return this.uri(request.topVia?.transport === 'TCP' ? this.server.listeners.length - 1 : 0);
  }

  #dispatchDialog(draft: MessageDraft): Outgoing {
    const route = draft.values('route')[0];
    const target = draft.startLine.split(' ')[1] ?? '';
    return this.#dispatch(draft, { uri: route === undefined ? target : route.slice(1, -1) });
  }

  #dispatch(draft: MessageDraft, hop: Hop): Outgoing {
    const outgoing = new Outgoing();
    this.server.request(draft, hop, outgoing);
    return outgoing;
  }
}

function dialogDraft(
  method: string,
  opened: SipRequest | SipResponse,
  routes: readonly string[],
  sequence: number,
): MessageDraft {
  const target = (opened.values('contact')[0] ?? '').slice(1, -1);
  const draft = MessageDraft.request(method, target);
  for (const route of routes) draft.append('Route', route);
  draft.append('Max-Forwards', '70');
  draft.append('Call-ID', opened.callId ?? '');
  draft.append('CSeq', `${sequence} ${method}`);
  return draft;
}
