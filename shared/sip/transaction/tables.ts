import { type Table, to } from './machine.ts';

/**
 * The four transactions of RFC 3261 17 with the corrections of RFC 6026. Events in capitals are received messages or,
 * as single letters, timers; those in lower case come from the owner or the transport. Timers of zero length over
 * reliable transports (D, I, J, K) end their state at once.
 */

export type InviteServerState = 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'terminated';
export type InviteServerEvent =
  | 'INVITE'
  | 'ACK'
  | 'send-1xx'
  | 'send-2xx'
  | 'send-failure'
  | 'transport-error'
  | 'G'
  | 'H'
  | 'I'
  | 'L';
export type InviteServerAction =
  | 'send'
  | 'resend'
  | 'resend-G'
  | 'absorb'
  | 'pass-ack'
  | 'undelivered'
  | 'timeout'
  | 'arm-GH'
  | 'arm-I'
  | 'arm-L'
  | 'settle'
  | 'remove';

/** RFC 3261 17.2.1 figure 7, RFC 6026 7.1 figure 5. */
export const INVITE_SERVER: Table<InviteServerState, InviteServerEvent, InviteServerAction> = {
  proceeding: {
    INVITE: to('proceeding', 'resend'),
    'send-1xx': to('proceeding', 'send'),
    'send-2xx': to('accepted', 'send', 'arm-L', 'settle'),
    'send-failure': to('completed', 'send', 'arm-GH'),
    'transport-error': to('proceeding', 'undelivered'),
  },
  accepted: {
    INVITE: to('accepted', 'absorb'),
    ACK: to('accepted', 'pass-ack'),
    'send-2xx': to('accepted', 'send', 'settle'),
    L: to('terminated', 'remove'),
  },
  completed: {
    INVITE: to('completed', 'resend'),
    ACK: to('confirmed', 'settle', 'arm-I'),
    'transport-error': to('completed', 'undelivered'),
    G: to('completed', 'resend-G'),
    H: to('terminated', 'timeout', 'remove'),
  },
  confirmed: {
    INVITE: to('confirmed', 'absorb'),
    ACK: to('confirmed', 'absorb'),
    I: to('terminated', 'remove'),
  },
  terminated: {},
};

export type NonInviteServerState = 'trying' | 'proceeding' | 'completed' | 'terminated';
export type NonInviteServerEvent =
  | 'REQUEST'
  | 'send-1xx'
  | 'send-2xx'
  | 'send-failure'
  | 'transport-error'
  | 'J';
export type NonInviteServerAction =
  | 'send'
  | 'resend'
  | 'absorb'
  | 'undelivered'
  | 'arm-J'
  | 'settle'
  | 'remove';

/** RFC 3261 17.2.2 figure 8. */
export const NON_INVITE_SERVER: Table<NonInviteServerState, NonInviteServerEvent, NonInviteServerAction> = {
  trying: {
    REQUEST: to('trying', 'absorb'),
    'send-1xx': to('proceeding', 'send'),
    'send-2xx': to('completed', 'send', 'settle', 'arm-J'),
    'send-failure': to('completed', 'send', 'settle', 'arm-J'),
  },
  proceeding: {
    REQUEST: to('proceeding', 'resend'),
    'send-1xx': to('proceeding', 'send'),
    'send-2xx': to('completed', 'send', 'settle', 'arm-J'),
    'send-failure': to('completed', 'send', 'settle', 'arm-J'),
    'transport-error': to('terminated', 'undelivered', 'remove'),
  },
  completed: {
    REQUEST: to('completed', 'resend'),
    'transport-error': to('terminated', 'undelivered', 'remove'),
    J: to('terminated', 'remove'),
  },
  terminated: {},
};

export type InviteClientState = 'calling' | 'proceeding' | 'accepted' | 'completed' | 'terminated';
export type InviteClientEvent =
  | '1XX'
  | '2XX'
  | 'FAILURE'
  | 'transport-error'
  | 'cancelled'
  | 'A'
  | 'B'
  | 'D'
  | 'M';
export type InviteClientAction =
  | 'resend'
  | 'arm-A'
  | 'arm-D'
  | 'arm-M'
  | 'pass'
  | 'cancel'
  | 'ack'
  | 'resend-ack'
  | 'timeout'
  | 'fail'
  | 'remove';

/** RFC 3261 17.1.1 figure 5, RFC 6026 7.2 figure 6; 9.1 for `cancelled` and for timer B while proceeding. */
export const INVITE_CLIENT: Table<InviteClientState, InviteClientEvent, InviteClientAction> = {
  calling: {
    A: to('calling', 'resend', 'arm-A'),
    B: to('terminated', 'remove', 'timeout'),
    '1XX': to('proceeding', 'cancel', 'pass'),
    '2XX': to('accepted', 'arm-M', 'pass'),
    FAILURE: to('completed', 'ack', 'arm-D', 'pass'),
    'transport-error': to('terminated', 'remove', 'fail'),
  },
  proceeding: {
    '1XX': to('proceeding', 'pass'),
    '2XX': to('accepted', 'arm-M', 'pass'),
    FAILURE: to('completed', 'ack', 'arm-D', 'pass'),
    cancelled: to('proceeding', 'cancel'),
    B: to('terminated', 'remove', 'timeout'),
  },
  accepted: {
    '2XX': to('accepted', 'pass'),
    M: to('terminated', 'remove'),
  },
  completed: {
    FAILURE: to('completed', 'resend-ack'),
    D: to('terminated', 'remove'),
  },
  terminated: {},
};

export type NonInviteClientState = 'trying' | 'proceeding' | 'completed' | 'terminated';
export type NonInviteClientEvent = '1XX' | '2XX' | 'FAILURE' | 'transport-error' | 'E' | 'F' | 'K';
export type NonInviteClientAction =
  | 'resend'
  | 'arm-E'
  | 'arm-E-T2'
  | 'arm-K'
  | 'pass'
  | 'timeout'
  | 'fail'
  | 'remove';

/** RFC 3261 17.1.2 figure 6. Timer F goes on from trying into proceeding. */
export const NON_INVITE_CLIENT: Table<NonInviteClientState, NonInviteClientEvent, NonInviteClientAction> = {
  trying: {
    E: to('trying', 'resend', 'arm-E'),
    F: to('terminated', 'remove', 'timeout'),
    '1XX': to('proceeding', 'arm-E-T2', 'pass'),
    '2XX': to('completed', 'arm-K', 'pass'),
    FAILURE: to('completed', 'arm-K', 'pass'),
    'transport-error': to('terminated', 'remove', 'fail'),
  },
  proceeding: {
    E: to('proceeding', 'resend', 'arm-E-T2'),
    F: to('terminated', 'remove', 'timeout'),
    '1XX': to('proceeding', 'pass'),
    '2XX': to('completed', 'arm-K', 'pass'),
    FAILURE: to('completed', 'arm-K', 'pass'),
    'transport-error': to('terminated', 'remove', 'fail'),
  },
  completed: {
    K: to('terminated', 'remove'),
  },
  terminated: {},
};
