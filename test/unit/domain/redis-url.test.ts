import { expect, test } from 'vitest';
import { redisUrlParts } from '../../../shared/domain/redis-url.ts';

const NOTHING = {
  tls: false,
  username: null,
  password: null,
  database: null,
  primary: null,
  sentinelPassword: null,
  isCluster: false,
};

test.each([
  ['redis://redis', { ...NOTHING, hosts: [{ host: 'redis', port: 6379 }] }],
  [
    'rediss://user:p%40ss@10.0.0.1:6380/2',
    {
      ...NOTHING,
      tls: true,
      username: 'user',
      password: 'p@ss',
      database: 2,
      hosts: [{ host: '10.0.0.1', port: 6380 }],
    },
  ],
  ['redis://:secret@[::1]:1/', { ...NOTHING, password: 'secret', hosts: [{ host: '::1', port: 1 }] }],
  [
    'redis+sentinel://:secret@s1,s2:26380/calls/1?sentinelPassword=x%26y',
    {
      ...NOTHING,
      password: 'secret',
      database: 1,
      hosts: [
        { host: 's1', port: 26379 },
        { host: 's2', port: 26380 },
      ],
      primary: 'calls',
      sentinelPassword: 'x&y',
    },
  ],
  [
    'rediss+cluster://:secret@n1,n2:7001',
    {
      ...NOTHING,
      tls: true,
      password: 'secret',
      hosts: [
        { host: 'n1', port: 6379 },
        { host: 'n2', port: 7001 },
      ],
      isCluster: true,
    },
  ],
])('%s is understood', (url, parts) => {
  expect(redisUrlParts(url)).toEqual(parts);
});

test.each([
  'http://redis',
  'redis://',
  'redis://one,two',
  'redis://one/x',
  'redis://one:0',
  'redis://one:65536',
  'redis://one/1/2',
  'redis+sentinel://s1,s2',
  'redis+sentinel://s1,,s2/calls',
  'redis+cluster://n1,n2/1',
  'redis+both://n1',
  'redis://:%zz@one',
  'redis://one?sentinelPassword=x',
])('%s is refused', (url) => {
  expect(redisUrlParts(url)).toBeNull();
});
