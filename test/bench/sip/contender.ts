/** What a call dials: a subscriber's number, or a star code whose target the contender finds by itself. */
export type Dialed = 'plain' | '*52' | '*69';

/** A SIP server under measurement, with the database that it asks. It trusts 127.0.0.1 and sends every call to the answerer. */
export interface Contender {
  readonly name: string;
  /** `host:port` over UDP. */
  readonly target: string;
  readonly dials: readonly Dialed[];
  /** Whether it writes down what a plain call dialed, as it does for *52. */
  readonly recordsPlainCalls: boolean;
  /** Processor time used so far, nanoseconds. */
  used(): { readonly server: number; readonly database: number; readonly redis: number };
  residentMegabytes(): number;
  /** Terminals whose last dialed call is younger than this date, microseconds since 1970. */
  recordedSince(micros: number): Promise<number>;
  stop(): Promise<void>;
}
