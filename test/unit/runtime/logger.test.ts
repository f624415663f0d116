import { describe, expect, it } from 'vitest';
import { LastcallError } from '../../../shared/domain/errors.ts';
import { createLogger, maskNumber } from '../../../shared/runtime/logger.ts';

function logged(fields: object, fullNumbers = false): string {
  let text = '';
  const log = createLogger(
    'test',
    'a',
    { level: 'info', pretty: false, fullNumbers },
    { write: (line) => (text += line) },
  );
  log.info(fields, 'message');
  return text;
}

describe('logs', () => {
  it.each(['password', 'token', 'authorization', 'ha1Md5', 'url'])('%s is never written', (name) => {
    expect(logged({ [name]: 'hunter2' })).not.toContain('hunter2');
    expect(logged({ request: { [name]: 'hunter2' } })).not.toContain('hunter2');
  });
  it('numbers keep their last two digits only, unless asked for', () => {
    expect(JSON.parse(logged({ number: '15551234' })).number).toBe(maskNumber('15551234'));
    expect(maskNumber('15551234')).toMatch(/34$/);
    expect(logged({ number: '15551234' }, true)).toContain('15551234');
  });
  it('an error of the catalogue shows its code and what caused it', () => {
    const line = JSON.parse(
      logged({ err: new LastcallError('DATABASE_UNREACHABLE', { cause: new Error('refused') }) }),
    );
    expect([line.err.code, line.err.cause.message]).toEqual(['DATABASE_UNREACHABLE', 'refused']);
  });
  it("an error's text and details keep passwords and full numbers to themselves", () => {
    const url = 'postgres://lastcall_app:hunter2@10.0.0.1/lastcall';
    const plain = logged({ err: new Error(`cannot connect to ${url}`) });
    const details = { url, number: '15551234', note: url };
    const catalogued = logged({
      err: new LastcallError('INVALID_VALUE', { details, cause: new Error(url) }),
    });
    expect(plain + catalogued).not.toMatch(/hunter2|15551234/);
    expect(plain).toContain('lastcall_app:***@10.0.0.1');
  });
});
