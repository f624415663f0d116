/** A place in one lineage's write-ahead log. Two LSNs compare only within the same system identifier and timeline (rule 1). */
export type Lsn = bigint & { readonly brand: 'Lsn' };

export const lsn = (value: bigint): Lsn => value as Lsn;

/** `0/0`, PostgreSQL's InvalidXLogRecPtr: "no position". */
export const NO_LSN: Lsn = lsn(0n);

const TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** Reads `16/B374D848`. Throws `TypeError` when it is not an LSN. */
export function parseLsn(text: string): Lsn {
  const m = TEXT.exec(text);
  if (!m) throw new TypeError(`an LSN reads like 16/B374D848, got ${JSON.stringify(text)}`);
  return lsn((BigInt(`0x${m[1]}`) << 32n) | BigInt(`0x${m[2]}`));
}

export function formatLsn(at: Lsn): string {
  return `${(at >> 32n).toString(16).toUpperCase()}/${(at & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Bytes of log from `behind` to `ahead`; 0 when `behind` is not behind. Exact up to 8 PiB. */
export function lagBytes(ahead: Lsn, behind: Lsn): number {
  return ahead > behind ? Number(ahead - behind) : 0;
}

export const laterLsn = (a: Lsn, b: Lsn): Lsn => (a > b ? a : b);
