/** RFC 3261 table 4, in milliseconds. */
export interface TimerDurations {
  /** Estimated round-trip time. */
  readonly t1: number;
  /** The longest retransmission interval for non-INVITE requests and INVITE responses. */
  readonly t2: number;
  /** How long a message may stay in the network. */
  readonly t4: number;
  /** Timer D over UDP: at least 32 s. */
  readonly d: number;
}

export const DEFAULT_TIMERS: TimerDurations = { t1: 500, t2: 4_000, t4: 5_000, d: 32_000 };
