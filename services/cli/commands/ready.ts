import { readFileSync } from 'node:fs';
import { LastcallError } from '../../../shared/domain/errors.ts';
import type { Config } from '../../../shared/runtime/config.ts';
import { formatHostPort, type HostPort } from '../../../shared/runtime/config-field.ts';
import type { Readiness } from '../../../shared/runtime/health.ts';
import { httpRequest } from '../../../shared/runtime/http-request.ts';
import type { Command, ExitStatus } from '../command.ts';
import { table } from '../table.ts';
import { oneOf } from '../value-forms.ts';

const SERVICES = ['call-control', 'replicator', 'coordinator', 'api'] as const;
const TIMEOUT_MS = 3_000;

export const ready: Command = {
  name: 'ready',
  summary:
    'whether a service on this machine takes traffic, by its /readyz; exit status 1 when not, 3 when degraded',
  arguments: [{ name: 'SERVICE', description: SERVICES.join(', '), parse: oneOf(...SERVICES) }],
  options: [
    {
      flags: '--degraded-is-ready',
      description: 'exit status 0 also when degraded, as a load balancer sees it',
    },
  ],
  async run(input, context) {
    const listen = listenerOf(context.config().config, input.text('SERVICE'));
    const { api } = context.config().config;
    const tls = input.text('SERVICE') === 'api' ? api.certificate : null;
    const ca = tls === null ? null : readFileSync(tls, 'utf8');
    const readiness = await ask(`http${tls === null ? '' : 's'}://${formatHostPort(listen)}/readyz`, ca);
    const rows = Object.entries(readiness.checks).map(([name, { state, reason }]) => [name, state, reason]);
    return {
      data: readiness,
      text: `${input.text('SERVICE')}: ${readiness.status}\n${table(['check', 'state', 'reason'], rows)}`,
      exit: exitOf(readiness.status, input.flag('degradedIsReady')),
    };
  },
};

function exitOf(status: Readiness['status'], degradedIsReady: boolean): ExitStatus {
  if (status === 'ready') return 0;
  if (status !== 'degraded') return 1;
  return degradedIsReady ? 0 : 3;
}

function listenerOf({ api, health }: Config, service: string): HostPort {
  const listeners = {
    api: api.listen,
    'call-control': health.callControl,
    replicator: health.replicator,
    coordinator: health.coordinator,
  };
  const { host, port } = listeners[service as keyof typeof listeners];
  if (port === 0) {
    throw new LastcallError('INVALID_VALUE', {
      details: { message: `the health listener of ${service} has no fixed port; set it under health` },
    });
  }
  return { host: host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host, port };
}

async function ask(url: string, ca: string | null): Promise<Readiness> {
  try {
    const { text } = await httpRequest(url, { timeoutMs: TIMEOUT_MS, ca });
    return JSON.parse(text) as Readiness;
  } catch (cause) {
    throw new LastcallError('API_UNREACHABLE', { cause, details: { url } });
  }
}
