import {
  type BeatFault,
  type PublisherView,
  parseTimelineHistory,
  type ResyncReason,
  type StoredPosition,
} from '../../domain/lineage.ts';
import type { Connection } from '../wire/connection.ts';
import { quoteLiteral } from '../wire/quoting.ts';
import { isInRecovery } from './primary.ts';
import { identifySystem, readSlot, timelineHistory } from './slot-commands.ts';

/** Everything that {@link decideStream} asks about the publisher, over a replication connection. `appliedBeat` is the copy's. */
export async function viewPublisher(
  walsender: Connection,
  slot: string,
  stored: StoredPosition | null,
  appliedBeat: string | null,
): Promise<PublisherView> {
  const identity = await identifySystem(walsender);
  if (await isInRecovery(walsender)) return { ...identity, inRecovery: true, slot: null };
  const moved = stored !== null && stored.timeline !== identity.timeline;
  const found = await readSlot(walsender, slot);
  return {
    ...identity,
    inRecovery: false,
    slot: found,
    beatFault: appliedBeat === null ? null : await judgeBeat(walsender, appliedBeat),
    switchPoints: moved
      ? parseTimelineHistory(await timelineHistory(walsender, identity.timeline))
      : undefined,
    droppedBecause: found ? undefined : await readDropReason(walsender, slot),
  };
}

async function judgeBeat(walsender: Connection, beat: string): Promise<BeatFault | null> {
  const [result] = await walsender.simple(`SELECT lastcall.judge_beat(${quoteLiteral(beat)}) AS fault`);
  return (result?.rows[0]?.['fault'] as BeatFault | null | undefined) ?? null;
}

async function readDropReason(walsender: Connection, slot: string): Promise<ResyncReason | undefined> {
  const [result] = await walsender.simple(
    `SELECT reason FROM lastcall.replication_dropped_slot WHERE slot = ${quoteLiteral(slot)}`,
  );
  return (result?.rows[0]?.['reason'] as ResyncReason | undefined) ?? undefined;
}
