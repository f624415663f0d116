import { createHash, createHmac } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { digestCredentials } from '../../shared/sip/digest/response.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { CallSites } from '../support/sip-phone-sites.ts';
import { DOMAIN, passwordOf } from '../support/site-terminals.ts';

let sites: CallSites;

beforeAll(async () => {
  sites = await CallSites.start([{ terminalId: 1, number: '1001' }]);
});
afterEach(() => sites.stopPhones());
afterAll(() => sites.stop());

/** A REGISTER that answers `nonce` with the right password. */
async function registersWith(phone: SipPhone, nonce: string): Promise<number> {
  const challenge = `Digest realm="${DOMAIN}", nonce="${nonce}", algorithm=MD5, qop="auth"`;
  const login = { challenge, method: 'REGISTER', uri: `sip:${DOMAIN}` };
  const credentials = digestCredentials({ ...login, username: '1001', password: passwordOf('1001') }) ?? '';
  const answer = await phone
    .register(60, [
      ['Contact', `<${phone.contact}>`],
      ['Authorization', credentials],
    ])
    .final();
  return answer.status;
}

async function nonceOf(phone: SipPhone): Promise<string> {
  const answer = await phone.register().final();
  return /nonce="([^"]+)"/.exec(answer.header('www-authenticate') ?? '')?.[1] ?? '';
}

test('G3 nothing that is signed follows from the PostgreSQL URL', async () => {
  const site = await sites.run('a');
  const phone = await sites.phone(site, '1001', { anonymous: true });
  const url = sites.databases.a.app;
  const guessed = createHash('sha256').update(`lastcall|nonces|a|${url}`).digest();
  const body = `${Math.floor(Date.now()).toString(36)}.AAAAAAAA`;
  const mac = createHmac('sha256', guessed).update(`${DOMAIN}|${body}`).digest('base64url').slice(0, 22);
  expect(await registersWith(phone, `${body}.${mac}`)).toBe(401);
  expect(await registersWith(phone, await nonceOf(phone))).toBe(200);
  await site.stop();
});

test('what one process signed the next one knows, also when it starts while PostgreSQL is away', async () => {
  const first = await sites.run('a');
  const phone = await sites.phone(first, '1001', { anonymous: true });
  expect(await registersWith(phone, await nonceOf(phone))).toBe(200);
  const nonce = await nonceOf(phone);
  await first.stop();
  await sites.postgres.stop('fast');
  const second = await sites.run('a');
  expect(await registersWith(phone, nonce)).toBe(200);
  await second.stop();
  await sites.postgres.start();
});
