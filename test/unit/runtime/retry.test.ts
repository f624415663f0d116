import { describe, expect, it } from 'vitest';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { createLogger } from '../../../shared/runtime/logger.ts';
import { climbingLevel, retry, retryDelayMs } from '../../../shared/runtime/retry.ts';

const log = createLogger('test', 'a', { level: 'silent', pretty: false, fullNumbers: false });

describe('replication rule 19: errors have classes with their own delays', () => {
  it('connection loss 50 ms to 10 s', () => {
    const delays = [1, 2, 3, 20].map((attempt) => retryDelayMs('transient', attempt, () => 0));
    expect(delays).toEqual([50, 100, 200, 10_000]);
  });
  it('slot missing 2 s, authentication 60 s', () => {
    expect(retryDelayMs('slot-missing', 5, () => 0)).toBe(2_000);
    expect(retryDelayMs('authentication', 1, () => 0)).toBe(60_000);
  });
  it('jitter takes off up to half', () => {
    expect(retryDelayMs('transient', 1, () => 1)).toBe(25);
  });
  it('the log level climbs with the delay', () => {
    expect([50, 500, 2_000, 10_000].map(climbingLevel)).toEqual(['debug', 'info', 'warn', 'error']);
  });
  it('what retrying cannot help is thrown at once', async () => {
    let attempts = 0;
    const work = async () => {
      attempts++;
      throw new LastcallError('SCHEMA_NEWER');
    };
    await expect(
      retry(work, { signal: new AbortController().signal, log, what: 'test' }),
    ).rejects.toMatchObject({ code: 'SCHEMA_NEWER' });
    expect(attempts).toBe(1);
  });
  it('a transient failure is tried again until it works', async () => {
    const work = async (attempt: number) => {
      if (attempt < 3) throw new LastcallError('DATABASE_UNREACHABLE');
      return attempt;
    };
    expect(await retry(work, { signal: new AbortController().signal, log, what: 'test' })).toBe(3);
  });
  it('an abort ends the wait', async () => {
    const stop = new AbortController();
    const running = retry(async () => Promise.reject(new LastcallError('DATABASE_LOGIN_REFUSED')), {
      signal: stop.signal,
      log,
      what: 'test',
    });
    setImmediate(() => stop.abort());
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
  });
});
