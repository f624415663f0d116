import {
  type Invitation,
  Inviter,
  Registerer,
  RegistererState,
  type Session,
  UserAgent,
  UserAgentState,
} from 'sip.js';
import type { Account } from '../answers.ts';
import { LiveCall } from './live-call.ts';
import { type CallState, type PastCall, type PhoneState, SILENT } from './phone-state.ts';

const RECONNECT_MS = 2_000;
const REGISTER_SECONDS = 120;
const KEPT_CALLS = 20;

export interface SoftphoneOptions {
  readonly account: Account;
  readonly domain: string;
  /** `ws://127.0.0.1:5062` */
  readonly server: string;
  readonly onChange: () => void;
}

/** A terminal in the browser: SIP over WebSocket (RFC 7118), sound by WebRTC, one call at a time. */
export class Softphone {
  readonly username: string;
  readonly #domain: string;
  readonly #onChange: () => void;
  readonly #agent: UserAgent;
  readonly #registerer: Registerer;
  #state: PhoneState = SILENT;
  #call: LiveCall | null = null;
  #ended = false;
  #calls = 0;

  constructor({ account, domain, onChange, server }: SoftphoneOptions) {
    const uri = UserAgent.makeURI(`sip:${encodeURIComponent(account.username)}@${domain}`);
    if (!uri) throw new Error(`${account.username} is no username`);
    this.username = account.username;
    this.#domain = domain;
    this.#onChange = onChange;
    this.#agent = new UserAgent({
      uri,
      authorizationUsername: account.username,
      authorizationPassword: account.password,
      transportOptions: { server, keepAliveInterval: 20 },
      // No STUN server of somebody else is asked; the page and its call-control are on one network.
      sessionDescriptionHandlerFactoryOptions: {
        iceGatheringTimeout: 500,
        peerConnectionConfiguration: { iceServers: [] },
      },
      logLevel: 'warn',
      delegate: {
        onInvite: (invitation) => this.#receive(invitation),
        onConnect: () => void this.#register(),
        onDisconnect: (error) => {
          if (error) void this.#reconnect(error.message);
        },
      },
    });
    this.#registerer = new Registerer(this.#agent, { expires: REGISTER_SECONDS });
    this.#registerer.stateChange.addListener((state) => {
      if (state === RegistererState.Registered) this.#change({ registration: 'registered', why: null });
    });
  }

  get state(): PhoneState {
    return this.#state;
  }

  start(): void {
    this.#agent.start().catch((error: Error) => void this.#reconnect(error.message));
  }

  /** Hangs up and is registered no more. */
  async stop(): Promise<void> {
    this.#ended = true;
    await this.#call?.end();
    await this.#registerer.unregister().catch(() => {});
    await this.#agent.stop().catch(() => {});
  }

  /** `reaches`: whom the star code should call, for the display. */
  async dial(number: string, reaches: string | null): Promise<void> {
    const target = UserAgent.makeURI(`sip:${encodeURIComponent(number)}@${this.#domain}`);
    if (!target || this.#call) return;
    const inviter = new Inviter(this.#agent, target);
    const call = this.#begin(inviter, { direction: 'out', number, reaches, phase: 'calling' });
    await call.invite(inviter);
  }

  answer(): Promise<void> | undefined {
    return this.#call?.answer();
  }

  hangUp(): Promise<void> | undefined {
    return this.#call?.end();
  }

  press(tone: string): void {
    this.#call?.press(tone);
  }

  mute(muted: boolean): void {
    this.#call?.mute(muted);
  }

  #receive(invitation: Invitation): void {
    if (this.#call) {
      void invitation.reject({ statusCode: 486 });
      return;
    }
    const number = invitation.remoteIdentity.uri.user ?? 'unknown';
    this.#begin(invitation, { direction: 'in', number, reaches: null, phase: 'ringing' });
  }

  #begin(session: Session, first: Pick<CallState, 'direction' | 'number' | 'reaches' | 'phase'>): LiveCall {
    const atMs = Date.now();
    const state: CallState = { ...first, sinceMs: atMs, muted: false, tones: '', sound: null };
    this.#call = new LiveCall(session, state, {
      onChange: (call) => this.#change({ call }),
      onEnd: (outcome) => {
        this.#call = null;
        const { direction, number, reaches } = first;
        const past: PastCall = { id: ++this.#calls, direction, number, reaches, atMs, outcome };
        this.#change({ call: null, history: [past, ...this.#state.history].slice(0, KEPT_CALLS) });
      },
    });
    this.#change({ call: state });
    return this.#call;
  }

  async #register(): Promise<void> {
    this.#change({ registration: 'connecting', why: null });
    await this.#registerer.register({
      requestDelegate: {
        onReject: ({ message }) =>
          this.#change({ registration: 'refused', why: `${message.statusCode} ${message.reasonPhrase}` }),
      },
    });
  }

  async #reconnect(why: string): Promise<void> {
    this.#change({ registration: 'lost', why });
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    if (this.#ended) return;
    const connect =
      this.#agent.state === UserAgentState.Started ? this.#agent.reconnect() : this.#agent.start();
    await connect.catch((error: Error) => void this.#reconnect(error.message));
  }

  #change(part: Partial<PhoneState>): void {
    this.#state = { ...this.#state, ...part };
    this.#onChange();
  }
}
