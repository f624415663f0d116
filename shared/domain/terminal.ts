import type { Feature } from './feature-code.ts';
import type { Micros } from './micros.ts';

/** A provisioned terminal: one address of record with its credentials and its number. */
export interface Terminal {
  readonly terminalId: number;
  readonly userId: number | null;
  readonly username: string;
  /** `sip:1001@lastcall.test` */
  readonly aor: string;
  /** HA1 = H(username:realm:password), lower-case hex (RFC 7616 section 3.4.2); null refuses that algorithm. */
  readonly ha1Md5: string | null;
  readonly ha1Sha256: string | null;
  readonly number: string;
  readonly numberId: number | null;
  readonly features: readonly Feature[];
  readonly enabled: boolean;
}

export interface StoredTerminal extends Terminal {
  readonly updatedAt: Micros;
  /** Where it was last written. */
  readonly site: string;
}
