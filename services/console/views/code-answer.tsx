import type { Target } from '../answers.ts';
import { useDesk } from '../context.ts';
import { duration } from '../formats.ts';
import { sentence } from '../pieces.tsx';
import { useRefreshed } from '../refreshed.ts';

const EVERY_MS = 1_500;

/** What a star code dialed now would call, or why it would call nobody. `query`: `terminal=1001` or `terminalId=1`. */
export function CodeAnswer({ code, query }: { query: string; code: string }) {
  const { client } = useDesk();
  const { value, fault } = useRefreshed(
    `/v1/target?${query}&code=${encodeURIComponent(code)}`,
    (path) => client.get<Target>(path),
    EVERY_MS,
  );
  if (fault)
    return (
      <p class="answer" role="status">
        <strong>Nobody.</strong> {sentence(fault.message)}
      </p>
    );
  if (!value) return <p class="waiting">Asking ...</p>;
  return (
    <p class="answer" role="status">
      Calls <strong>{value.number}</strong>
      <span class="hint">
        {' '}
        from site {value.site}'s table, {duration(value.ageMs)} old
        {value.degraded && '; another table could not be read'}
      </span>
    </p>
  );
}
