import { useCallback, useEffect, useState } from 'preact/hooks';
import { ApiFault } from './api-client.ts';

export interface Refreshed<T> {
  readonly value: T | null;
  readonly fault: ApiFault | null;
  readonly refresh: () => void;
}

/** Loads when `key` or `version` changes and then every `everyMs`; null as `key`: not at all. What belongs to an earlier key is never shown. */
export function useRefreshed<T>(
  key: string | null,
  load: (key: string) => Promise<T>,
  everyMs: number | null,
  version = 0,
): Refreshed<T> {
  const [result, setResult] = useState<{ key: string; value: T | null; fault: ApiFault | null } | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (key === null) return;
    let timer: number | undefined;
    let ended = false;
    const again = async (): Promise<void> => {
      const outcome = await load(key).then(
        (value) => ({ key, value, fault: null }),
        (error: unknown) => ({ key, value: null, fault: asFault(error) }),
      );
      if (ended) return;
      setResult(outcome);
      // An api without this address will not have it in a second either.
      if (everyMs !== null && !outcome.fault?.isUnknownAddress) timer = setTimeout(again, everyMs);
    };
    void again();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [key, everyMs, turn, version]);
  const refresh = useCallback(() => setTurn((before) => before + 1), []);
  const current = result?.key === key ? result : null;
  return { value: current?.value ?? null, fault: current?.fault ?? null, refresh };
}

export function asFault(error: unknown): ApiFault {
  return error instanceof ApiFault ? error : new ApiFault(0, String(error), null, null);
}
