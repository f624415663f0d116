import type { Flow } from './flow.ts';
import type { TransportName } from './listener.ts';

/** One side of a message's way. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface CapturedMessage {
  readonly transport: TransportName;
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** Microseconds of Unix time. */
  readonly atMicros: number;
  /** Latin1. */
  readonly text: string;
}

/** Sees every message that a server receives and sends. Nothing it does may throw. */
export interface Mirror {
  saw(message: Omit<CapturedMessage, 'atMicros'>): void;
}

type Way = Pick<Flow, 'listener' | 'remoteAddress' | 'remotePort' | 'transport'>;

export const here = ({ listener }: Way): Endpoint => ({
  address: listener.boundHost,
  port: listener.boundPort,
});
export const there = ({ remoteAddress, remotePort }: Way): Endpoint => ({
  address: remoteAddress,
  port: remotePort,
});

export const sentOver = (flow: Way, text: string): Omit<CapturedMessage, 'atMicros'> => ({
  transport: flow.transport,
  from: here(flow),
  to: there(flow),
  text,
});
