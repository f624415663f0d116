/** What a site's call-controls sign with, one for each use; every one of them has the same, also after a restart. */
export const SITE_SECRETS = ['dialogs', 'flows', 'nonces'] as const;

export type SiteSecretName = (typeof SITE_SECRETS)[number];

/** What was signed with either is accepted; what is new is signed with `current`. */
export interface SigningKeys {
  readonly current: Uint8Array;
  /** From before the last rotation. */
  readonly previous: Uint8Array | null;
}

/** Asked at each use: a rotation reaches running processes. */
export type SigningKeySource = () => SigningKeys;

export type SiteSecrets = ReadonlyMap<SiteSecretName, SigningKeys>;

/** The keys that a signature may be of, the current one first. */
export function acceptedKeys({ current, previous }: SigningKeys): readonly Uint8Array[] {
  return previous === null ? [current] : [current, previous];
}
