import type { Answer } from '../../shared/sip/transaction/user.ts';

/** Seconds after which trying again makes sense; written into every 503. */
const RETRY_AFTER_SECONDS = 5;

export const unavailable = (reason: string, retryAfterSeconds = RETRY_AFTER_SECONDS): Answer => ({
  status: 503,
  reason,
  headers: [['Retry-After', String(retryAfterSeconds)]],
});

/** F14. */
export const DRAINING = unavailable('Draining', 1);
/** Not every dependency has been reached since the start. */
export const NOT_READY = unavailable('Starting');
export const OVERLOADED = unavailable('Overloaded');
/** To a phone that registers: all of them come back, but not all at once. */
export const registerLater = (): Answer => unavailable('Overloaded', 5 + Math.floor(Math.random() * 25));
export const DATABASE_AWAY = unavailable('Terminals Unreadable');

/** What this server does itself or lets pass. */
export const OPTION_TAGS = ['path', 'outbound', 'timer', '100rel', 'replaces'] as const;
export const ALLOWED_METHODS =
  'INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, UPDATE, PRACK, INFO, REFER, MESSAGE, SUBSCRIBE, NOTIFY';

/** The ping of dispatchers and load balancers (RFC 3261 11.2). */
export const OPTIONS_OK: Answer = {
  status: 200,
  headers: [
    ['Allow', ALLOWED_METHODS],
    ['Accept', 'application/sdp'],
    ['Supported', OPTION_TAGS.join(', ')],
  ],
};
