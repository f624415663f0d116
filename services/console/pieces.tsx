import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Direction } from './answers.ts';
import type { ApiFault } from './api-client.ts';
import { clockTime } from './formats.ts';
import { asFault } from './refreshed.ts';

export type Tone = 'good' | 'busy' | 'bad' | 'idle';

/** A state in a word; its colour says the same again. */
export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

const DIRECTION_TONES: Readonly<Record<string, Tone>> = {
  streaming: 'good',
  'catching-up': 'busy',
  resyncing: 'busy',
};

export function DirectionBadge({ direction }: { direction: Direction }) {
  if (direction.paused) return <Badge tone="idle">paused</Badge>;
  return <Badge tone={DIRECTION_TONES[direction.state] ?? 'bad'}>{direction.state}</Badge>;
}

const FAILOVER_TONES: Readonly<Record<string, Tone>> = { running: 'busy', done: 'good', failed: 'bad' };

export function OutcomeBadge({ state }: { state: string }) {
  return <Badge tone={FAILOVER_TONES[state] ?? 'idle'}>{state}</Badge>;
}

/** What went wrong, and what to do about it. */
export function Fault({ fault }: { fault: ApiFault | null }) {
  if (!fault) return null;
  return (
    <p class="fault" role="alert">
      {sentence(fault.message)}
      {fault.remedy && <span class="remedy"> {fault.remedy}</span>}
    </p>
  );
}

export const sentence = (text: string): string =>
  `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;

export function Moment({ at }: { at: string }) {
  return (
    <time dateTime={at} title={at}>
      {clockTime(at)}
    </time>
  );
}

interface ActionProps {
  readonly label: string;
  readonly act: () => Promise<unknown>;
  /** Asked before it is done; absent: done at once. */
  readonly question?: string;
  /** Why it cannot be done now. */
  readonly refused?: string | null;
  readonly name?: string;
  readonly danger?: boolean;
}

/** A button that does something at the server: it asks when that is grave, and says when it failed. */
export function Action({ act, danger, label, name, question, refused }: ActionProps) {
  const [state, setState] = useState<'idle' | 'asking' | 'busy'>('idle');
  const [fault, setFault] = useState<ApiFault | null>(null);
  const perform = async (): Promise<void> => {
    setState('busy');
    setFault(await act().then(() => null, asFault));
    setState('idle');
  };
  return (
    <>
      <button
        type="button"
        class={danger ? 'danger' : undefined}
        aria-label={name ?? label}
        disabled={state === 'busy' || !!refused}
        title={refused ?? undefined}
        onClick={() => (question ? setState('asking') : void perform())}
      >
        {label}
      </button>
      {state === 'asking' && (
        <Question text={question ?? ''} yes={label} onYes={perform} onNo={() => setState('idle')} />
      )}
      <Fault fault={fault} />
    </>
  );
}

interface QuestionProps {
  readonly text: string;
  readonly yes: string;
  readonly onYes: () => void;
  readonly onNo: () => void;
}

/** Escape and the backdrop say no, as in every dialog. */
function Question({ onNo, onYes, text, yes }: QuestionProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={onNo} aria-label={yes}>
      <p>{text}</p>
      <div class="actions">
        <button type="button" class="primary" onClick={onYes}>
          {yes}
        </button>
        <button type="button" onClick={onNo}>
          Cancel
        </button>
      </div>
    </dialog>
  );
}

export const ADMIN_ONLY = 'This needs a token with the role admin';
