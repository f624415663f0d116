import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type DatabaseSettings, judgeSettings } from '../../../services/cli/doctor/database-settings.ts';
import { loadConfig } from '../../../shared/runtime/config.ts';
import { healthCheckCommand, outside, ownServices, ROOT, readComposeFile } from './compose-file.ts';

const file = readComposeFile();
const own = ownServices(file);
const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');

describe('docker-compose.yml', () => {
  it('carries no secret: not one variable has a default, and no example has a password', () => {
    const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
    expect(text.match(/\$\{\w+:?-/g)).toBeNull();
    const examples = readdirSync(join(ROOT, 'docs/deploy'), { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    expect(examples.length).toBeGreaterThan(5);
    for (const example of [...examples, join(ROOT, 'docker-compose.yml'), join(ROOT, 'README.md')])
      expect(readFileSync(example, 'utf8'), example).not.toMatch(/change-?me/i);
  });

  it.each(own)('%s: a read-only root, no capability, nothing to gain', (_name, service) => {
    expect(service).toMatchObject({
      read_only: true,
      tmpfs: ['/tmp'],
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    });
    const writable = (service.volumes ?? []).filter((volume) => !volume.endsWith(':ro'));
    expect(writable.every((volume) => volume.endsWith(':/var/lib/lastcall/ring'))).toBe(true);
  });

  it('runs two whole sites', () => {
    const parts = ['postgres', 'redis', 'init', 'call-control', 'replicator', 'coordinator', 'api'];
    expect(Object.keys(file.services).sort()).toEqual(
      parts.flatMap((part) => [`${part}-a`, `${part}-b`]).sort(),
    );
  });

  it.each(own)('%s: its command is a program of this repository', (_name, service) => {
    const [program, entry = ''] = service.command;
    expect(program).toBe('node');
    expect(existsSync(join(ROOT, entry.replace(/^dist\//, '').replace(/\.js$/, '.ts'))), entry).toBe(true);
  });

  it.each(own)('%s: its mounted configuration passes the check with its environment', (_name, service) => {
    const config = loadConfig({
      file: outside(service.environment?.['LASTCALL_CONFIG'] ?? '', service),
      env: service.environment ?? {},
    });
    expect(config.api.tokens).toHaveLength(1);
    for (const peer of Object.values(config.peers)) expect(peer.coordinatorUrl).not.toBeNull();
    for (const listener of Object.values(config.health)) expect(listener.port).toBeGreaterThan(0);
  });

  it('waits for parts that there are, and mounts volumes and folders that there are', () => {
    for (const [name, { depends_on = {}, volumes = [] }] of Object.entries(file.services)) {
      for (const part of Object.keys(depends_on)) expect(file.services, name).toHaveProperty(part);
      for (const volume of volumes) {
        const source = volume.split(':')[0] ?? '';
        if (source.startsWith('./')) expect(existsSync(join(ROOT, source)), volume).toBe(true);
        else expect(file.volumes, volume).toHaveProperty(source);
      }
    }
  });

  it('no two parts want the same port', () => {
    const published = Object.values(file.services).flatMap(({ ports = [] }) =>
      ports.map((port) => port.split(':')[1]),
    );
    const listeners = own
      .filter(([name]) => name.startsWith('api-'))
      .flatMap(([, service]) => {
        const { sip, api, health } = loadConfig({
          file: outside(service.environment?.['LASTCALL_CONFIG'] ?? '', service),
          env: service.environment ?? {},
        });
        return [sip.tcp, sip.ws, api.listen, ...Object.values(health)].map((listener) =>
          String(listener?.port),
        );
      });
    const ports = [...published, ...listeners];
    expect(new Set(ports).size).toBe(ports.length);
  });

  it('starts PostgreSQL with settings that the doctor finds nothing wrong with', () => {
    const flags = file.services['postgres-a']?.command ?? [];
    const given = new Map(
      flags.filter((flag) => flag.includes('=')).map((flag) => flag.split('=') as [string, string]),
    );
    const settings: DatabaseSettings = {
      serverVersion: 180_000,
      walLevel: given.get('wal_level') ?? '',
      maxReplicationSlots: Number(given.get('max_replication_slots')),
      maxWalSenders: Number(given.get('max_wal_senders')),
      maxSlotWalKeepMb: Number(given.get('max_slot_wal_keep_size')?.replace('GB', '')) * 1024,
      synchronousCommit: 'on',
      fsync: 'on',
    };
    const [, service] = own[0] ?? [];
    const { replication } = loadConfig({
      file: join(ROOT, 'docs/deploy/a.yaml'),
      env: service?.environment ?? {},
    });
    expect(
      judgeSettings(settings, 1, replication.slotBudgetBytes).filter((finding) => finding.state !== 'ok'),
    ).toEqual([]);
  });
});

describe('Dockerfile', () => {
  it('copies what there is, and .dockerignore lets it through', () => {
    const letThrough = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'));
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap((match) =>
      (match[1] ?? '').split(' '),
    );
    expect(copied.length).toBeGreaterThan(5);
    for (const source of copied) {
      expect(existsSync(join(ROOT, source)), source).toBe(true);
      expect(letThrough).toContain(`!${source}`);
    }
  });

  it('names the exact version of its base', () => {
    expect(dockerfile).toMatch(/^ARG NODE=node:24\.\d+\.\d+-bookworm-slim$/m);
    expect(dockerfile.match(/^FROM \$\{NODE\}/gm)).toHaveLength(2);
    expect(dockerfile.match(/^FROM /gm)).toHaveLength(2);
  });

  it('does not run as root, and asks /readyz for its health', () => {
    expect(dockerfile).toMatch(/^USER node$/m);
    expect(healthCheckCommand().join(' ')).toContain('dist/services/cli/main.js ready');
  });
});
