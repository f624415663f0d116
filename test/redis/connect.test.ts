import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LastcallError } from '../../shared/domain/errors.ts';
import { RedisConnection } from '../../shared/redis/connect.ts';
import { translateRedisError } from '../../shared/redis/redis-error.ts';
import { elapsedMs } from '../support/elapsed.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait-for.ts';

let server: RedisServer;
let connections: RedisConnection[] = [];

beforeEach(async () => {
  server = await startRedis();
});
afterEach(async () => {
  await Promise.all(connections.map((connection) => connection.close()));
  connections = [];
  server.resume();
  await server.remove();
});

function connect(url = server.url): RedisConnection {
  const connection = new RedisConnection({ url, site: 'a', commandTimeoutMs: 300 });
  connections.push(connection);
  connection.start();
  return connection;
}
const up = (connection: RedisConnection) =>
  waitFor(() => connection.state.state === 'up', { what: 'the connection' });
const down = (connection: RedisConnection) =>
  waitFor(() => connection.state.state === 'down', { what: 'the loss to be noticed' });
const refusal = (work: Promise<unknown>) => work.then(() => null, translateRedisError);

describe('a connection made for long outages', () => {
  it('is down with a reason before Redis is there, up as soon as it is', async () => {
    await server.stop();
    const connection = connect();
    await waitFor(() => /ECONNREFUSED/.test(JSON.stringify(connection.state)), { what: 'the reason' });
    await server.start();
    await up(connection);
    expect(await connection.client.ping()).toBe('PONG');
  });

  it('a command while Redis is away fails at once as REDIS_UNREACHABLE', async () => {
    const connection = connect();
    await up(connection);
    await server.kill();
    await down(connection);
    const took = await elapsedMs(async () =>
      expect((await refusal(connection.client.get('x')))?.code).toBe('REDIS_UNREACHABLE'),
    );
    expect(took).toBeLessThan(100);
  });

  it('a Redis that accepts but does not answer counts as away, and is taken up again when it answers', async () => {
    const connection = connect();
    await up(connection);
    server.pause();
    await down(connection);
    expect((await refusal(connection.client.get('x')))?.code).toBe('REDIS_UNREACHABLE');
    server.resume();
    await up(connection);
    expect(await connection.client.ping()).toBe('PONG');
  });

  it('listeners of onReady hear of every reconnection', async () => {
    const connection = connect();
    let heard = 0;
    connection.onReady(() => heard++);
    await up(connection);
    await server.kill();
    await down(connection);
    await server.start();
    await waitFor(() => heard === 2, { what: 'the second time' });
  });

  it('a wrong password is never up, and says so', async () => {
    const admin = connect();
    await up(admin);
    await admin.client.config('SET', 'requirepass', 'right');
    const connection = connect(server.url.replace('redis://', 'redis://:wrong@'));
    await waitFor(() => /WRONGPASS/.test(JSON.stringify(connection.state)), { what: 'the reason' });
    const trusted = connect(server.url.replace('redis://', 'redis://:right@'));
    await up(trusted);
    expect(connection.state.state).toBe('down');
  });

  it('a Redis that takes no writes is named as such', async () => {
    const connection = connect();
    await up(connection);
    await connection.client.config('SET', 'maxmemory', '1');
    const error = await refusal(connection.client.set('x', 'y'));
    expect(error).toBeInstanceOf(LastcallError);
    expect([error?.code, error?.details]).toEqual(['REDIS_REFUSES_WRITES', { kind: 'OOM' }]);
  });
});
