/** What becomes of a slot that other sites hold here, by what it keeps (rules 17 and 33). Pure. */
import { type Lsn, lagBytes } from './lsn.ts';

export interface SlotUse {
  /** The end of this site's log. */
  readonly currentLsn: Lsn;
  /** Where the server must keep WAL from: an open transaction pins it, however well the slot is read. */
  readonly restartLsn: Lsn;
  /** What the subscriber has: null while the slot is being made. */
  readonly confirmedLsn: Lsn | null;
  /** Its subscriber reads it or resynchronises, now or within the last seconds. */
  readonly atWork: boolean;
}

export type SlotVerdict = 'within' | 'pinned' | 'over';

/** Whoever is at work may fall behind for once: by a bulk write, or while a resynchronisation copies. */
const AT_WORK_FACTOR = 2;

/** `pinned`: not the subscriber is behind, an open transaction keeps the WAL; dropping the slot would free it for minutes only. */
export function judgeSlot(slot: SlotUse, budgetBytes: number): SlotVerdict {
  const allowedBytes = slot.atWork ? AT_WORK_FACTOR * budgetBytes : budgetBytes;
  if (lagBytes(slot.currentLsn, slot.confirmedLsn ?? slot.restartLsn) > allowedBytes) return 'over';
  return lagBytes(slot.currentLsn, slot.restartLsn) > budgetBytes ? 'pinned' : 'within';
}
