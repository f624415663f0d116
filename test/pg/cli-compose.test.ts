import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../shared/servers/free-port.ts';
import { type ServerProcess, startServerProcess } from '../../shared/servers/server-process.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  type ComposeService,
  composeSecrets,
  healthCheckCommand,
  outside,
  ROOT,
  readComposeFile,
} from '../unit/cli/compose-file.ts';

const file = readComposeFile();
const SITES = ['a', 'b'] as const;
const PROCESSES = ['call-control', 'replicator', 'coordinator', 'api'] as const;

const postgres: PostgresServer[] = [];
const redis: RedisServer[] = [];
const started: ServerProcess[] = [];
/** Port in docker-compose.yml and docs/deploy to the one used here. */
const moved = new Map<string, string>();

beforeAll(async () => {
  for (const site of SITES) {
    const given = (file.services[`postgres-${site}`]?.command ?? []).filter((flag) => flag.includes('='));
    const settings = Object.fromEntries(given.map((flag) => flag.split('=') as [string, string]));
    const superuser = file.services[`postgres-${site}`]?.environment?.['POSTGRES_PASSWORD'] ?? '';
    const [server, store] = await Promise.all([
      startPostgres({ settings, password: superuser }),
      startRedis({ password: composeSecrets['LASTCALL_REDIS_PASSWORD'] ?? '' }),
    ]);
    await server.createDatabase('lastcall');
    postgres.push(server);
    redis.push(store);
    moved.set(published(`postgres-${site}`), String(server.port));
    moved.set(published(`redis-${site}`), String(store.port));
  }
  for (const port of [5060, 5062, 8080, 8081, 8082, 8083, 5070, 5072, 8090, 8091, 8092, 8093]) {
    moved.set(String(port), String(await freePort()));
  }
});
afterAll(async () => {
  await Promise.all(started.map((process) => process.kill()));
  await Promise.all([...postgres, ...redis].map((server) => server.remove()));
});

function published(name: string): string {
  return file.services[name]?.ports?.[0]?.split(':')[1] ?? '';
}

function move(text: string): string {
  return text.replace(/127\.0\.0\.1:(\d+)/g, (_, port: string) => `127.0.0.1:${moved.get(port) ?? port}`);
}

/** The environment of a container on ports that are free here; what the mounted file says of ports is said again. */
function environment(service: ComposeService, site: string): Record<string, string> {
  const offset = site === 'a' ? 0 : 10;
  const at = (port: number) => move(`127.0.0.1:${port + offset}`);
  const given = Object.entries(service.environment ?? {}).map(
    ([name, value]) => [name, move(value)] as const,
  );
  return {
    PATH: process.env['PATH'] ?? '',
    ...Object.fromEntries(given),
    LASTCALL_CONFIG: outside(service.environment?.['LASTCALL_CONFIG'] ?? '', service),
    LASTCALL_SIP_UDP: at(5060),
    LASTCALL_SIP_TCP: at(5060),
    LASTCALL_SIP_WS: at(5062),
    LASTCALL_API_LISTEN: at(8080),
    LASTCALL_HEALTH_CALL_CONTROL: at(8081),
    LASTCALL_HEALTH_REPLICATOR: at(8082),
    LASTCALL_HEALTH_COORDINATOR: at(8083),
  };
}

function part(name: string, site: string) {
  const service = file.services[`${name}-${site}`];
  if (!service) throw new Error(`docker-compose.yml has no ${name}-${site}`);
  const [program = '', ...args] = service.command;
  return { program, args, env: environment(service, site) };
}

const run = promisify(execFile);

describe('docker-compose.yml outside containers', () => {
  const compose = (env: Readonly<Record<string, string>>) =>
    run('docker-compose', ['-f', join(ROOT, 'docker-compose.yml'), 'config', '--services'], {
      env: { PATH: process.env['PATH'] ?? '', ...env },
    });

  it('docker-compose refuses it without any one of its secrets, and says how to make them', async () => {
    expect(Object.keys(composeSecrets).length).toBeGreaterThan(5);
    for (const name of Object.keys(composeSecrets)) {
      const refused = compose({ ...composeSecrets, [name]: '' });
      await expect(refused).rejects.toMatchObject({ stderr: expect.stringMatching(`${name}.*make-env.sh`) });
    }
  });

  it('docker-compose takes it with what make-env.sh makes, which is new each time', async () => {
    const made = async () => {
      const { stdout } = await run(join(ROOT, 'docs/deploy/make-env.sh'));
      return Object.fromEntries(
        stdout
          .trim()
          .split('\n')
          .map((line) => line.split('=') as [string, string]),
      );
    };
    const [first, second] = [await made(), await made()];
    expect(Object.keys(first).sort()).toEqual(Object.keys(composeSecrets).sort());
    for (const [name, value] of Object.entries(first)) {
      expect(value).toMatch(/^[0-9a-f]{48}$/);
      expect(second[name]).not.toBe(value);
    }
    const { stdout } = await compose(first);
    expect(stdout.trim().split('\n').sort()).toEqual(Object.keys(file.services).sort());
  });

  it('its commands make two sites that its health check calls ready', async () => {
    for (const site of SITES) {
      const { program, args, env } = part('init', site);
      const { stdout } = await run(program, args, { cwd: ROOT, env });
      expect(stdout).toContain(`site ${site}: applied`);
    }
    for (const site of SITES) for (const name of PROCESSES) started.push(start(name, site));
    const [probe = '', ...probeArgs] = healthCheckCommand();
    for (const site of SITES) {
      for (const name of PROCESSES) {
        const { env } = part(name, site);
        await waitFor(() => run(probe, probeArgs, { cwd: ROOT, env }), {
          what: `${name}-${site}`,
          deadlineMs: 60_000,
          everyMs: 100,
        });
      }
    }
    const ends = await Promise.all(
      started.map(async (process) => [await process.stop('SIGTERM'), await process.ended]),
    );
    expect(ends.map(([, how]) => how)).toEqual(ends.map(() => 'exit status 0'));
  });
});

function start(name: string, site: string): ServerProcess {
  const { program, args, env } = part(name, site);
  return startServerProcess({
    file: program,
    args: [...args],
    spawn: { cwd: ROOT, env },
    stopSignal: 'SIGTERM',
    ready: async () => true,
  });
}
