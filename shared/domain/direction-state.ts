/** What a direction, or the feed of a target, is doing. Written by the replicator alone. */
export const DIRECTION_STATES = ['streaming', 'catching-up', 'resyncing', 'needs-resync', 'stopped'] as const;
export type DirectionState = (typeof DIRECTION_STATES)[number];

/** Whether changes arrive. */
export const isFlowing = (state: string): boolean => state === 'streaming' || state === 'catching-up';
