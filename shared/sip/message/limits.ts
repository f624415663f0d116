/** Bounds on one message. What exceeds them is answered where it can be and never forwarded. */
export interface Limits {
  /** A whole message; over it 513 on streams. Default 65,536. */
  readonly messageBytes: number;
  /** Header lines; default 256. */
  readonly headerCount: number;
  /** One header line with its folds; default 16,384. */
  readonly lineBytes: number;
  /** The Request-URI; over it 414. Default 4,096. */
  readonly requestUriBytes: number;
}

export const DEFAULT_LIMITS: Limits = {
  messageBytes: 65_536,
  headerCount: 256,
  lineBytes: 16_384,
  requestUriBytes: 4_096,
};
