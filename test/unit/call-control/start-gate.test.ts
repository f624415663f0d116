import { afterEach, expect, test } from 'vitest';
import { StartGate } from '../../../services/call-control/start-gate.ts';

const gates: StartGate[] = [];
afterEach(() => {
  for (const gate of gates.splice(0)) gate.stop();
});

/** Whether the gate opens at its first look. */
async function opens(state: {
  database: boolean;
  tried: boolean;
  redis: boolean;
  copies: boolean;
}): Promise<boolean> {
  const gate = new StartGate({
    databaseUp: () => state.database,
    databaseTried: () => state.tried,
    redisUp: () => state.redis,
    copiesHeld: async () => state.copies,
  });
  gates.push(gate);
  void gate.start(new AbortController().signal);
  await new Promise((resolve) => setImmediate(resolve));
  return gate.open;
}

test('opens with PostgreSQL and Redis, and not with one of them on a new site', async () => {
  expect(await opens({ database: true, tried: true, redis: true, copies: false })).toBe(true);
  expect(await opens({ database: false, tried: true, redis: true, copies: false })).toBe(false);
  expect(await opens({ database: true, tried: true, redis: false, copies: true })).toBe(false);
});

test('PostgreSQL away: opens with the terminals an earlier process left, but only after PostgreSQL was tried', async () => {
  expect(await opens({ database: false, tried: true, redis: true, copies: true })).toBe(true);
  expect(await opens({ database: false, tried: false, redis: true, copies: true })).toBe(false);
});

test('says what it waits for, and gives up at the signal', async () => {
  const gate = new StartGate({
    databaseUp: () => false,
    databaseTried: () => true,
    redisUp: () => false,
    copiesHeld: async () => false,
  });
  gates.push(gate);
  const abort = new AbortController();
  const started = gate.start(abort.signal);
  expect(gate.check()).toEqual({ state: 'down', reason: 'waiting for PostgreSQL and Redis' });
  abort.abort();
  await started;
  expect(gate.open).toBe(false);
});

test('a call that comes while it opens waits for it, and no longer than it is told', async () => {
  let up = false;
  const gate = new StartGate({
    databaseUp: () => up,
    databaseTried: () => true,
    redisUp: () => up,
    copiesHeld: async () => false,
  });
  gates.push(gate);
  void gate.start(new AbortController().signal);
  await gate.opened(10);
  expect(gate.open).toBe(false);
  up = true;
  await gate.opened(10_000);
  expect(gate.open).toBe(true);
});
