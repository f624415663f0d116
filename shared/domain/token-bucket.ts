/** How much may be asked: `burst` at once, then `perSecond`. */
export interface Allowance {
  readonly perSecond: number;
  readonly burst: number;
}

/** What one asker has left, as of a time in milliseconds. */
export interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

export const fullBucket = ({ burst }: Allowance, nowMs: number): Bucket => ({ left: burst, atMs: nowMs });

/** With what has flowed in since; time that runs backwards brings nothing. */
export function refilled(bucket: Bucket, { burst, perSecond }: Allowance, nowMs: number): Bucket {
  const gained = (Math.max(0, nowMs - bucket.atMs) / 1000) * perSecond;
  return { left: Math.min(burst, bucket.left + gained), atMs: nowMs };
}

/** Milliseconds until one may be taken; 0: now. */
export function waitMs(bucket: Bucket, { perSecond }: Allowance): number {
  return bucket.left >= 1 ? 0 : Math.ceil(((1 - bucket.left) / perSecond) * 1000);
}

export const taken = (bucket: Bucket): Bucket => ({ ...bucket, left: bucket.left - 1 });
