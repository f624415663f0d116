import { join } from 'node:path';

/** Where Debian's, Red Hat's and Homebrew's packages put each version that Lastcall runs with, the newest first. */
export const POSTGRES_FOLDERS = [18, 17, 16, 15].flatMap((major) => [
  `/usr/lib/postgresql/${major}/bin`,
  `/usr/pgsql-${major}/bin`,
  `/opt/homebrew/opt/postgresql@${major}/bin`,
  `/usr/local/opt/postgresql@${major}/bin`,
]);
const inPostgres = (...path) => POSTGRES_FOLDERS.map((folder) => join(folder, ...path));

/**
 * The programs of the operating system that each command needs, as data: where one is found (any of `programs`), the
 * packages that bring it, and the services those packages would start at boot. `{major}` is the PostgreSQL that is here
 * already, else the one that this Debian has.
 */
export const PROGRAMS = {
  redis: {
    programs: ['redis-server', 'valkey-server'],
    debian: ['redis-server'],
    fedora: ['valkey'],
    macos: ['redis'],
    services: ['redis-server'],
  },
  sipp: { programs: ['sipp'], debian: ['sip-tester'], fedora: ['sipp'], macos: ['sipp'] },
  baresip: { programs: ['baresip'], debian: ['baresip-core'], fedora: ['baresip'], macos: ['baresip'] },
  // Beside which the SIP benchmark runs, and which the documented set-ups are tried with.
  kamailio: {
    programs: ['kamailio'],
    debian: ['kamailio', 'kamailio-postgres-modules', 'kamailio-utils-modules'],
    fedora: ['kamailio', 'kamailio-postgresql', 'kamailio-http_client'],
    macos: ['kamailio'],
    services: ['kamailio'],
  },
  linphone: { programs: ['linphone-daemon'], debian: ['linphone-cli'], optional: true },
  openssl: { programs: ['openssl'], debian: ['openssl'], fedora: ['openssl'], macos: ['openssl'] },
  postgresql: {
    programs: inPostgres('postgres'),
    debian: ['postgresql-{major}'],
    fedora: ['postgresql-server', 'postgresql-contrib'],
    macos: ['postgresql@17'],
    services: ['postgresql'],
  },
  repmgr: {
    programs: inPostgres('repmgrd'),
    debian: ['postgresql-{major}-repmgr', 'repmgr'],
    fedora: ['repmgr'],
    macos: ['repmgr'],
    services: ['repmgrd'],
  },
  pglogical: {
    programs: inPostgres('..', 'lib', 'pglogical.so'),
    debian: ['postgresql-{major}-pglogical'],
    optional: true,
  },
  pgbouncer: {
    programs: ['pgbouncer'],
    debian: ['pgbouncer'],
    fedora: ['pgbouncer'],
    macos: ['pgbouncer'],
    services: ['pgbouncer'],
  },
  // Reads the lines of failed log-ins.
  fail2ban: {
    programs: ['fail2ban-regex'],
    debian: ['fail2ban'],
    fedora: ['fail2ban'],
    macos: ['fail2ban'],
    services: ['fail2ban'],
  },
  // promtool, which the alert rules are tried with.
  prometheus: {
    programs: ['promtool'],
    debian: ['prometheus'],
    fedora: ['golang-github-prometheus'],
    macos: ['prometheus'],
    services: ['prometheus'],
  },
  // The console's tests drive it.
  chromium: {
    programs: ['/usr/bin/chromium', 'chromium'],
    debian: ['chromium'],
    fedora: ['chromium'],
    macos: ['chromium'],
  },
  // What the Debian package is built and tried with.
  dpkg: { programs: ['dpkg-deb'], debian: ['dpkg'], optional: true },
  fakeroot: { programs: ['fakeroot'], debian: ['fakeroot'], optional: true },
  systemd: { programs: ['systemd-analyze'], debian: ['systemd'], optional: true },
  compose: {
    programs: ['docker-compose'],
    debian: ['docker-compose'],
    fedora: ['docker-compose'],
    macos: ['docker-compose'],
  },
  // A target of the tests.
  mariadb: {
    programs: ['mariadbd', '/usr/sbin/mariadbd', '/usr/libexec/mariadbd'],
    debian: ['mariadb-server'],
    fedora: ['mariadb-server'],
    macos: ['mariadb'],
    services: ['mariadb'],
  },
  barman: { programs: ['barman'], debian: ['barman'], fedora: ['barman'], macos: ['barman'] },
  patroni: {
    programs: ['patroni'],
    debian: ['patroni'],
    fedora: ['patroni'],
    macos: ['patroni'],
    services: ['patroni'],
  },
  // With Patroni's client of it.
  etcd: {
    programs: ['etcd'],
    debian: ['etcd-server', 'python3-etcd'],
    fedora: ['etcd'],
    macos: ['etcd'],
    services: ['etcd'],
  },
  haproxy: {
    programs: ['haproxy'],
    debian: ['haproxy'],
    fedora: ['haproxy'],
    macos: ['haproxy'],
    services: ['haproxy'],
  },
};

const CHAOS = ['redis', 'sipp', 'postgresql', 'repmgr', 'pgbouncer'];

/** What a command needs, given its arguments. */
export function programsFor(verb, args) {
  switch (verb) {
    case 'start':
      return [
        'redis',
        ...(args.includes('--ha') ? ['postgresql', 'repmgr'] : []),
        ...(args.join(' ').match(/--pg[= ]system/) ? ['postgresql'] : []),
      ];
    case 'test':
      return onlyPure(args)
        ? []
        : [
            ...CHAOS,
            'baresip',
            'linphone',
            'openssl',
            'barman',
            'patroni',
            'etcd',
            'haproxy',
            'mariadb',
            'compose',
            'fail2ban',
            'kamailio',
            'prometheus',
            'chromium',
            'dpkg',
            'fakeroot',
            'systemd',
          ];
    case 'package':
      return [];
    case 'bench':
      return args[0] === 'sip' ? ['redis', 'sipp', 'kamailio'] : [...CHAOS, 'pglogical'];
    default:
      return CHAOS;
  }
}

const onlyPure = (args) => args.length > 0 && args.every((arg) => /^test\/(unit|house)\b/.test(arg));
