import { formatTimestamptz, type Micros } from '../domain/micros.ts';
import type { TokenEntry } from './tokens.ts';

const dated = (at: Micros | null) => (at === null ? null : formatTimestamptz(at));

/** An entry as REST and the command line show it. */
export const tokenJson = ({
  createdAt,
  createdBy,
  expiresAt,
  lastUsedAt,
  name,
  oneTime,
  role,
}: TokenEntry) => ({
  name,
  role,
  oneTime,
  createdBy,
  createdAt: formatTimestamptz(createdAt),
  expiresAt: dated(expiresAt),
  lastUsedAt: dated(lastUsedAt),
});
