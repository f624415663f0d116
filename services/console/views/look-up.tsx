import { useState } from 'preact/hooks';
import { useDesk } from '../context.ts';
import { CodeAnswer } from './code-answer.tsx';

/** What any code dialed at any terminal would call now. */
export function LookUp() {
  const { info } = useDesk();
  const [asked, setAsked] = useState<{ terminal: string; code: string } | null>(null);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    setAsked({ terminal: String(form.get('terminal')).trim(), code: String(form.get('code')).trim() });
  };
  return (
    <>
      <p class="lead">
        The number that a star code would call if somebody dialed it at this site now. No call is placed.
      </p>
      <form class="card inline" onSubmit={submit}>
        <label>
          Number, username or address of record
          <input name="terminal" required maxLength={256} autocomplete="off" placeholder="1001" />
        </label>
        <label>
          Code
          <input name="code" required maxLength={48} list="codes" autocomplete="off" defaultValue="*52" />
        </label>
        <datalist id="codes">
          {info.codes.map(({ code, feature }) => (
            <option key={code} value={code}>
              {feature}
            </option>
          ))}
        </datalist>
        <button class="primary" type="submit">
          Look up
        </button>
      </form>
      {asked && (
        <section class="card" aria-label="Answer">
          <h2>
            {asked.terminal} dials <kbd>{asked.code}</kbd>
          </h2>
          <CodeAnswer query={`terminal=${encodeURIComponent(asked.terminal)}`} code={asked.code} />
        </section>
      )}
    </>
  );
}
