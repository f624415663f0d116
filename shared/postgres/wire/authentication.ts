import type { ByteWriter } from './byte-writer.ts';
import type { ConnectionTarget } from './connection-target.ts';
import { writeSaslAnswer, writeSaslInitial, writeText } from './messages.ts';
import { type ScramExchange, startScram } from './scram.ts';
import { ProtocolRefused } from './server-error.ts';

export interface LoginChannel {
  /** Whether the bytes go through TLS. */
  readonly encrypted: boolean;
  readonly send: (write: (out: ByteWriter) => void) => void;
  readonly fail: (cause: Error) => void;
}

/**
 * The handler for a login's messages. Offers SCRAM-SHA-256; a clear-text password only inside TLS; never MD5, whose
 * hash is as good as the password to whoever reads it.
 */
export function authenticate(
  target: ConnectionTarget,
  { encrypted, send, fail }: LoginChannel,
): (type: string, body: Buffer) => void {
  let scram: ScramExchange | null = null;
  const steps: Record<number, (body: Buffer) => void> = {
    0: () => undefined,
    3: () => {
      if (!encrypted) throw new ProtocolRefused('the server asks for a clear-text password without TLS');
      send((out) => writeText(out, 'p', target.password));
    },
    10: (body) => {
      const mechanisms = body.toString('latin1', 4).split('\0');
      if (!mechanisms.includes('SCRAM-SHA-256'))
        throw new ProtocolRefused('the server does not offer SCRAM-SHA-256');
      const exchange = startScram(target.password);
      scram = exchange;
      send((out) => writeSaslInitial(out, 'SCRAM-SHA-256', exchange.first));
    },
    11: (body) => {
      const challenge = body.toString('latin1', 4);
      scram?.answer(challenge).then((answer) => send((out) => writeSaslAnswer(out, answer)), fail);
    },
    12: (body) => scram?.verify(body.toString('latin1', 4)),
  };
  return (type, body) => {
    if (type !== 'R') return;
    const method = body.readInt32BE(0);
    const step = steps[method];
    if (!step)
      throw new ProtocolRefused(
        `the server asks for authentication method ${method}, which this client refuses`,
      );
    step(body);
  };
}
