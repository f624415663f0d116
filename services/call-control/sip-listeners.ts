import { readFileSync } from 'node:fs';
import { ConfigError } from '../../shared/runtime/config.ts';
import type { Config } from '../../shared/runtime/config-schema.ts';
import type { Certificate, ListenerOptions } from '../../shared/sip/transport/listener.ts';

const TRANSPORTS = ['udp', 'tcp', 'tls', 'ws', 'wss'] as const;

/** The configured listeners; one of several processes has one more, of its own, for the others to reach it. Throws `ConfigError` when there is none, or TLS lacks a readable certificate. */
export function sipListeners({ sip }: Config, amongOthers = false): ListenerOptions[] {
  const certificate = sip.tls === null && sip.wss === null ? null : readCertificate(sip.certificate, sip.key);
  const listeners = TRANSPORTS.flatMap((transport): ListenerOptions[] => {
    const address = sip[transport];
    if (address === null) return [];
    return [
      {
        transport,
        host: address.host,
        port: address.port,
        ...(sip.advertise !== null && { advertise: { host: sip.advertise } }),
        ...(certificate !== null && (transport === 'tls' || transport === 'wss') && { certificate }),
      },
    ];
  });
  const [first] = listeners;
  if (first !== undefined) return amongOthers ? [...listeners, ownListener(first, sip.advertise)] : listeners;
  throw new ConfigError([
    { path: 'sip', fault: `no listener; set at least one of ${TRANSPORTS.join(', ')}` },
  ]);
}

function ownListener({ host }: ListenerOptions, advertised: string | null): ListenerOptions {
  const advertise = advertised === null ? {} : { advertise: { host: advertised } };
  return { transport: 'udp', host, port: 0, own: true, ...advertise };
}

function readCertificate(certificateFile: string | null, keyFile: string | null): Certificate {
  return { cert: readPem('sip.certificate', certificateFile), key: readPem('sip.key', keyFile) };
}

function readPem(path: string, file: string | null): string {
  if (file === null) throw new ConfigError([{ path, fault: 'missing; tls and wss need a PEM file' }]);
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ConfigError([{ path, fault: `cannot read ${file}: ${code ?? String(cause)}` }]);
  }
}
