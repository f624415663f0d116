/**
 * Every key of a site begins so: sites may share a Redis in a test, never a key. What stands in braces is all that a
 * Cluster hashes, so that all keys of a site, those of its BullMQ queues too, are on one node.
 */
export const keyPrefix = (site: string): string => `lastcall:{${site}}`;

export const bindingKey = (site: string, aor: string): string => `${keyPrefix(site)}:bindings:${aor}`;
/** Stays for as long as Redis keeps what the site gave it. */
export const contentMarkKey = (site: string): string => `${keyPrefix(site)}:content-mark`;
export const processesKey = (site: string): string => `${keyPrefix(site)}:call-controls`;
/** Not a key: what the site's call-controls tell each other on. */
export const bindingChannel = (site: string): string => `${keyPrefix(site)}:bindings-changed`;
/** A hash: the bans that each call-control shows. */
export const bansKey = (site: string): string => `${keyPrefix(site)}:bans`;
/** Not a key: who is to be let in again. */
export const liftChannel = (site: string): string => `${keyPrefix(site)}:bans-lifted`;
export const secretsKey = (site: string): string => `${keyPrefix(site)}:secrets`;
/** What site `home` has seen of the database of a site, its own or another. */
export const primaryFloorKey = (home: string, site: string): string => `${keyPrefix(home)}:primary:${site}`;
export const journalStateKey = (site: string): string => `${keyPrefix(site)}:journal:state`;
/** The troubles that a channel was told of and that last. */
export const alertsKey = (site: string, channel: string): string => `${keyPrefix(site)}:alerts:${channel}`;
/** A hash by trouble, and a sorted set by time: what the site's coordinator has told. */
export const openAlertsKey = (site: string): string => `${keyPrefix(site)}:alert-board:open`;
export const recentAlertsKey = (site: string): string => `${keyPrefix(site)}:alert-board:recent`;
export const callOnceKey = (site: string, callId: string, event: string): string =>
  `${keyPrefix(site)}:call:${event}:${callId}`;
