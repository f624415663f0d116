import {
  type Invitation,
  Inviter,
  Registerer,
  RegistererState,
  type SessionDescriptionHandler,
  type SessionState,
  UserAgent,
} from 'sip.js';
import { WebSocket } from 'ws';
import { waitFor } from './wait-for.ts';

export interface BrowserPhoneOptions {
  readonly username: string;
  readonly password: string;
  readonly domain: string;
  /** `ws://127.0.0.1:5062` */
  readonly server: string;
}

/** Media is none of these tests' business: a fixed offer and answer. */
const SESSION: SessionDescriptionHandler = {
  close: () => {},
  getDescription: async () => ({
    body: 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n',
    contentType: 'application/sdp',
  }),
  hasDescription: (contentType) => contentType === 'application/sdp',
  setDescription: async () => {},
  sendDtmf: () => false,
};

/** A call as the browser sees it: its states and the final answer. */
export interface BrowserCall {
  readonly inviter: Inviter;
  readonly states: readonly SessionState[];
  /** `480 No Last Call Known` of a refused call. */
  refusal(): Promise<string>;
  until(state: SessionState): Promise<void>;
}

/** sip.js as the console's softphone uses it, in Node: registered over WebSocket (RFC 7118). */
export class BrowserPhone {
  readonly invitations: Invitation[] = [];
  readonly #agent: UserAgent;
  readonly #registerer: Registerer;
  readonly #domain: string;

  private constructor({ domain, password, server, username }: BrowserPhoneOptions) {
    Object.assign(globalThis, { WebSocket });
    const uri = UserAgent.makeURI(`sip:${username}@${domain}`);
    if (uri === undefined) throw new Error('not a SIP URI');
    this.#domain = domain;
    this.#agent = new UserAgent({
      uri,
      authorizationUsername: username,
      authorizationPassword: password,
      transportOptions: { server },
      sessionDescriptionHandlerFactory: () => SESSION,
      logBuiltinEnabled: false,
      delegate: { onInvite: (invitation) => void this.invitations.push(invitation) },
    });
    this.#registerer = new Registerer(this.#agent, { expires: 60 });
  }

  static async registered(options: BrowserPhoneOptions): Promise<BrowserPhone> {
    const phone = new BrowserPhone(options);
    await phone.#agent.start();
    await phone.#registerer.register();
    await waitFor(() => phone.#registerer.state === RegistererState.Registered, {
      what: 'the registration of sip.js',
    });
    return phone;
  }

  async call(dialed: string): Promise<BrowserCall> {
    const target = UserAgent.makeURI(`sip:${dialed}@${this.#domain}`);
    if (target === undefined) throw new Error(`${dialed} cannot be dialed`);
    const inviter = new Inviter(this.#agent, target);
    const states: SessionState[] = [];
    let refused: string | undefined;
    inviter.stateChange.addListener((state) => void states.push(state));
    await inviter.invite({
      requestDelegate: {
        onReject: ({ message }) => {
          refused = `${message.statusCode} ${message.reasonPhrase}`;
        },
      },
    });
    return {
      inviter,
      states,
      refusal: () => waitFor(() => refused, { what: 'a refusal' }),
      until: async (state) => void (await waitFor(() => states.includes(state), { what: state })),
    };
  }

  invitation(number = 0): Promise<Invitation> {
    return waitFor(() => this.invitations[number], { what: `invitation ${number} in the browser` });
  }

  async stop(): Promise<void> {
    await this.#registerer.unregister();
    await waitFor(() => this.#registerer.state === RegistererState.Unregistered, { what: 'unregistration' });
    await this.#agent.stop();
  }
}
