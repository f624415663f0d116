import { randomBytes } from 'node:crypto';
import { httpRequest } from '../../shared/runtime/http-request.ts';

const GOOD_FOR_SECONDS = 43_200;

/** The console's address with a one-time log-in code as its fragment, which no server and no log ever sees. */
export async function consoleLink(api: string, adminToken: string): Promise<string> {
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
  // Without a code the page asks for a token: no reason not to start.
  if (answer?.status !== 201) return `${api}/console/`;
  return `${api}/console/#login=${(JSON.parse(answer.text) as { token: string }).token}`;
}
