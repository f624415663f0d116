import type { Target } from '../answers.ts';
import { useDesk } from '../context.ts';
import { useRefreshed } from '../refreshed.ts';

const EVERY_MS = 1_500;
const FEATURE_NAMES: Readonly<Record<string, string>> = { redial: 'Redial', return: 'Call back' };

interface StarCodeProps {
  readonly code: string;
  readonly feature: string;
  readonly username: string;
  readonly disabled: boolean;
  /** `reaches`: whom it should call, null when nobody is known. */
  readonly onDial: (reaches: string | null) => void;
}

/** A star code as one button, with whom it would call now. */
export function StarCode({ code, disabled, feature, onDial, username }: StarCodeProps) {
  const { client } = useDesk();
  const { value, fault } = useRefreshed(
    `/v1/target?terminal=${encodeURIComponent(username)}&code=${encodeURIComponent(code)}`,
    (path) => client.get<Target>(path),
    EVERY_MS,
  );
  return (
    <div class="star-code">
      <button type="button" disabled={disabled} onClick={() => onDial(value?.number ?? null)}>
        <kbd>{code}</kbd> {FEATURE_NAMES[feature] ?? feature}
      </button>
      <span class="hint">
        {value && (
          <>
            calls <strong>{value.number}</strong>
          </>
        )}
        {fault && `calls nobody: ${fault.message.toLowerCase()}`}
      </span>
    </div>
  );
}
