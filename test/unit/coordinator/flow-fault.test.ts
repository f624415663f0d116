import { expect, test } from 'vitest';
import { FlowRefused, FlowWaits, flowDelayMs } from '../../../services/coordinator/flow-fault.ts';
import { LeaseTaken } from '../../../services/coordinator/lease.ts';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { ConnectionLost, ServerError } from '../../../shared/postgres/wire/server-error.ts';

const sqlstate = (code: string): ServerError =>
  new ServerError(
    new Map([
      ['C', code],
      ['M', 'said the server'],
    ]),
  );

test.each<readonly [string, unknown, number, readonly [number, number] | null]>([
  ['a lost connection is tried again at once', new ConnectionLost('gone'), 1, [25, 50]],
  ['and at last every ten seconds', new ConnectionLost('gone'), 30, [5_000, 10_000]],
  ['a site that is away is waited for', new FlowWaits('site b is unreachable'), 1, [25, 50]],
  ['a lease is asked for again soon, however often', new LeaseTaken('a'), 30, [500, 500]],
  ['a slot that is missing takes two seconds', sqlstate('42704'), 5, [1_000, 2_000]],
  ['a lock that was not given is tried again', sqlstate('55P03'), 1, [25, 50]],
  ['a refused login takes a minute', sqlstate('28P01'), 1, [30_000, 60_000]],
  ['a missing right is for an operator', sqlstate('42501'), 1, null],
  ['a missing table is for an operator', sqlstate('42P01'), 1, null],
  ['rows that differ are for an operator', new FlowRefused('rows differ'), 1, null],
  ['a database that cannot be reached is waited for', new LastcallError('DATABASE_UNREACHABLE'), 1, [25, 50]],
  ['what nobody foresaw is tried again', new TypeError('odd'), 1, [25, 50]],
  ['but not for ever', new TypeError('odd'), 8, null],
])('rule 19 %s', (_name, cause, attempt, range) => {
  const delayMs = flowDelayMs(cause, attempt);
  if (range === null || delayMs === null) expect(delayMs).toBe(range);
  else {
    expect(delayMs).toBeGreaterThanOrEqual(range[0]);
    expect(delayMs).toBeLessThanOrEqual(range[1]);
  }
});
