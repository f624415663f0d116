/** A phone as it is drawn; replaced as a whole at every change. */
export interface PhoneState {
  readonly registration: 'connecting' | 'registered' | 'refused' | 'lost' | 'off';
  /** Why it is not registered. */
  readonly why: string | null;
  readonly call: CallState | null;
  /** The newest first. */
  readonly history: readonly PastCall[];
}

export interface CallState {
  readonly direction: 'out' | 'in';
  /** What was dialed, or who calls. */
  readonly number: string;
  /** Whom the star code that was dialed was to call; null: no star code. */
  readonly reaches: string | null;
  readonly phase: 'calling' | 'ringing' | 'talking';
  /** Unix milliseconds at which this phase began. */
  readonly sinceMs: number;
  readonly muted: boolean;
  /** Keys pressed so far. */
  readonly tones: string;
  /** Null until the first second is measured. */
  readonly sound: Sound | null;
}

/** RTP packets a second each way, and how loud the other side is, 0 to 1. */
export interface Sound {
  readonly receivedPerSecond: number;
  readonly sentPerSecond: number;
  readonly level: number;
}

export interface PastCall {
  readonly id: number;
  readonly direction: 'out' | 'in';
  readonly number: string;
  readonly reaches: string | null;
  readonly atMs: number;
  /** `talked 00:12`, `missed`, `486 Busy Here` */
  readonly outcome: string;
}

export const SILENT: PhoneState = { registration: 'connecting', why: null, call: null, history: [] };
