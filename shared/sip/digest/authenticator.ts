import type { SipRequest } from '../message/message.ts';
import type { DigestOptions, DigestVerdict, VerifyOptions } from './types.ts';

/** Server-side digest authentication (RFC 3261 22, RFC 8760). Knows no users: `findHa1` does. */
export declare class DigestAuthenticator {
  constructor(options: DigestOptions);
  /** Never rejects for what a request holds; rejects only when `findHa1` does. */
  verify(request: SipRequest, options: VerifyOptions): Promise<DigestVerdict>;
}
