import { Invitation, Inviter, type Session, SessionState, type Web } from 'sip.js';
import { callLength } from '../formats.ts';
import type { CallState } from './phone-state.ts';
import { startRinging } from './ring-tone.ts';
import { measureSound } from './sound-meter.ts';

interface CallListener {
  readonly onChange: (state: CallState) => void;
  readonly onEnd: (outcome: string) => void;
}

const SOUND_ONLY = { constraints: { audio: true, video: false } };

/** One call from its first sign to its end, which is told exactly once. */
export class LiveCall {
  readonly #session: Session;
  readonly #listener: CallListener;
  readonly #loudspeaker = new Audio();
  #state: CallState;
  #refusal: string | null = null;
  #hungUpHere = false;
  /** Ends the ringing or the measuring. */
  #stopSound: () => void = () => {};

  constructor(session: Session, state: CallState, listener: CallListener) {
    this.#session = session;
    this.#state = state;
    this.#listener = listener;
    if (session instanceof Invitation) this.#stopSound = startRinging();
    session.stateChange.addListener((next) => {
      if (next === SessionState.Established) this.#talk();
      // sip.js says why only after it has said that it is over.
      if (next === SessionState.Terminated) queueMicrotask(() => this.#finish());
    });
  }

  async invite(inviter: Inviter): Promise<void> {
    try {
      await inviter.invite({
        sessionDescriptionHandlerOptions: SOUND_ONLY,
        requestDelegate: {
          onProgress: ({ message }) => {
            if (message.statusCode && message.statusCode > 100) this.#change({ phase: 'ringing' });
          },
          onReject: ({ message }) => {
            this.#refusal = `${message.statusCode} ${message.reasonPhrase}`;
          },
        },
      });
    } catch (error) {
      await this.#fail(error);
    }
  }

  async answer(): Promise<void> {
    if (!(this.#session instanceof Invitation)) return;
    this.#quiet();
    await this.#session
      .accept({ sessionDescriptionHandlerOptions: SOUND_ONLY })
      .catch((error: unknown) => this.#fail(error));
  }

  /** Cancels, declines or hangs up: whatever ends it now. */
  async end(): Promise<void> {
    this.#hungUpHere = true;
    const { state } = this.#session;
    if (state === SessionState.Established) await this.#session.bye();
    else if (state === SessionState.Terminated) return;
    else if (this.#session instanceof Invitation) await this.#session.reject({ statusCode: 603 });
    else if (this.#session instanceof Inviter) await this.#session.cancel();
  }

  /** A key of the keypad, as RFC 4733 sends it. */
  press(tone: string): void {
    if (this.#media?.sendDtmf(tone)) this.#change({ tones: this.#state.tones + tone });
  }

  mute(muted: boolean): void {
    for (const { track } of this.#media?.peerConnection?.getSenders() ?? []) {
      if (track) track.enabled = !muted;
    }
    this.#change({ muted });
  }

  get #media(): Web.SessionDescriptionHandler | undefined {
    return this.#session.sessionDescriptionHandler as Web.SessionDescriptionHandler | undefined;
  }

  #talk(): void {
    this.#quiet();
    this.#change({ phase: 'talking', sinceMs: Date.now() });
    const media = this.#media;
    if (!media?.peerConnection) return;
    this.#loudspeaker.srcObject = media.remoteMediaStream;
    this.#loudspeaker.play().catch(() => {});
    this.#stopSound = measureSound(media.peerConnection, (sound) => this.#change({ sound }));
  }

  #finish(): void {
    this.#quiet();
    this.#loudspeaker.srcObject = null;
    this.#listener.onEnd(this.#outcome());
  }

  #quiet(): void {
    this.#stopSound();
    this.#stopSound = () => {};
  }

  #outcome(): string {
    const { direction, phase, sinceMs } = this.#state;
    if (phase === 'talking') return `talked ${callLength((Date.now() - sinceMs) / 1000)}`;
    if (direction === 'in') return this.#hungUpHere ? 'declined' : 'missed';
    return this.#hungUpHere ? 'given up' : (this.#refusal ?? 'failed');
  }

  /** No microphone, mostly. */
  async #fail(error: unknown): Promise<void> {
    const isMicrophone = error instanceof DOMException;
    this.#refusal = isMicrophone ? 'the microphone is not allowed here' : String(error);
    if (this.#session.state === SessionState.Terminated) return;
    await this.#session.dispose();
  }

  #change(part: Partial<CallState>): void {
    this.#state = { ...this.#state, ...part };
    if (this.#session.state !== SessionState.Terminated) this.#listener.onChange(this.#state);
  }
}
