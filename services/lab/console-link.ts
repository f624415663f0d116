import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { httpRequest } from '../../shared/runtime/http-request.ts';

const GOOD_FOR_SECONDS = 43_200;
const ATTEMPTS = 20;
const ASK_AGAIN_MS = 250;

/** The console's address with a one-time log-in code as its fragment, which no server and no log ever sees. */
export async function consoleLink(api: string, adminToken: string): Promise<string> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const code = await askForCode(api, adminToken);
    if (code !== null) return `${api}/console/#login=${code}`;
    await delay(ASK_AGAIN_MS);
  }
  // The page then asks for a token: no reason not to start.
  return `${api}/console/`;
}

/** Null while the api has not found its database: ready it is before that. */
async function askForCode(api: string, adminToken: string): Promise<string | null> {
  const answer = await httpRequest(`${api}/v1/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: `console-${randomBytes(6).toString('hex')}`,
      role: 'admin',
      oneTime: true,
      expiresInSeconds: GOOD_FOR_SECONDS,
    }),
    timeoutMs: 5_000,
  }).catch(() => null);
  return answer?.status === 201 ? (JSON.parse(answer.text) as { token: string }).token : null;
}
