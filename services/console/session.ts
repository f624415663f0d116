import { ApiClient } from './api-client.ts';

const KEY = 'lastcall.token';

/** The token of this tab; it is gone with the tab. */
export const storedToken = (): string | null => sessionStorage.getItem(KEY);
export const keepToken = (token: string): void => sessionStorage.setItem(KEY, token);
export const dropToken = (): void => sessionStorage.removeItem(KEY);

/** Takes the code of a one-time link, `#login=CODE`, out of the address and its history. */
export function takeLoginCode(): string | null {
  const code = /^#login=([\w-]+)$/.exec(location.hash)?.[1] ?? null;
  if (code !== null) history.replaceState(null, '', location.pathname);
  return code;
}

/** Trades the code for a token. Throws {@link ApiFault}. */
export async function redeemLoginCode(code: string): Promise<string> {
  const { token } = await new ApiClient(null, () => {}).post<{ token: string }>('/v1/console/login', {
    code,
  });
  return token;
}
