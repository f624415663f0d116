import { formatHostPort, type HostPort } from './config-field.ts';
import type { ConfigFault } from './config-reader.ts';
import type { Config } from './config-schema.ts';

/** What no key can say alone: how keys must agree. For a configuration whose every key is well formed. */
export function contradictions(config: Config): ConfigFault[] {
  return [
    ...expiryOrder(config),
    ...missingCertificate(config),
    ...halfTls(config),
    ...ownSiteAsPeer(config),
    ...unprovenPeers(config),
    ...sharedListeners(config),
  ];
}

function expiryOrder({ sip }: Config): ConfigFault[] {
  const { minExpiresSeconds, defaultExpiresSeconds, maxExpiresSeconds } = sip;
  if (minExpiresSeconds <= defaultExpiresSeconds && defaultExpiresSeconds <= maxExpiresSeconds) return [];
  const found = `${minExpiresSeconds}, ${defaultExpiresSeconds}, ${maxExpiresSeconds}`;
  return [
    {
      path: 'sip.defaultExpiresSeconds',
      fault: `expected minExpiresSeconds <= defaultExpiresSeconds <= maxExpiresSeconds, found ${found}`,
    },
  ];
}

function missingCertificate({ sip }: Config): ConfigFault[] {
  if (sip.tls === null && sip.wss === null) return [];
  return (['certificate', 'key'] as const)
    .filter((key) => sip[key] === null)
    .map((key) => ({
      path: `sip.${key}`,
      fault: 'missing; expected a PEM file, since sip.tls or sip.wss is set',
    }));
}

function halfTls({ api }: Config): ConfigFault[] {
  if ((api.certificate === null) === (api.key === null)) return [];
  const missing = api.certificate === null ? 'certificate' : 'key';
  return [{ path: `api.${missing}`, fault: 'missing; expected a PEM file, since the other one is set' }];
}

function ownSiteAsPeer({ site, peers }: Config): ConfigFault[] {
  if (!Object.hasOwn(peers, site)) return [];
  return [
    { path: `peers.${site}`, fault: `expected another site, found this one; remove it, or correct site` },
  ];
}

/** G5: a source address proves nothing, so sites that call each other share a key. */
function unprovenPeers({ peers, sip }: Config): ConfigFault[] {
  const [peer] = Object.entries(peers).filter(([, { sip: uri }]) => uri !== null);
  if (peer === undefined || sip.siteKey !== null) return [];
  return [
    {
      path: 'sip.siteKey',
      fault: `missing; expected the same secret as at site ${peer[0]}, since peers.${peer[0]}.sip is set; make one with \`openssl rand -hex 32\``,
    },
  ];
}

/** Two listeners of one protocol at one address: the second could not be bound. Port 0 is a free one each time. */
function sharedListeners({ sip, api, health }: Config): ConfigFault[] {
  const taken = new Map<string, string>();
  const listeners: [path: string, listen: HostPort | null][] = [
    ['sip.tcp', sip.tcp],
    ['sip.tls', sip.tls],
    ['sip.ws', sip.ws],
    ['sip.wss', sip.wss],
    ['api.listen', api.listen],
    ...Object.entries(health).map(([name, listen]): [string, HostPort] => [`health.${name}`, listen]),
  ];
  return listeners.flatMap(([path, listen]) => {
    if (listen === null || listen.port === 0) return [];
    const address = formatHostPort(listen);
    const other = taken.get(address);
    taken.set(address, path);
    return other
      ? [{ path, fault: `expected an address of its own, found ${address}, which ${other} has` }]
      : [];
  });
}
