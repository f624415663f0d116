import { useRef } from 'preact/hooks';
import { useDesk } from '../context.ts';
import { callLength } from '../formats.ts';
import { Badge, type Tone } from '../pieces.tsx';
import { usePhoneDesk } from './phone-desk.ts';
import type { CallState, PastCall, PhoneState } from './phone-state.ts';
import type { Softphone } from './softphone.ts';
import { StarCode } from './star-code.tsx';

const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '0', '#'];
const REGISTRATION_TONES: Readonly<Record<PhoneState['registration'], Tone>> = {
  connecting: 'busy',
  registered: 'good',
  refused: 'bad',
  lost: 'bad',
  off: 'idle',
};

/** One phone: number, keypad, star codes, the call, what was before. */
export function PhoneCard({ phone }: { phone: Softphone }) {
  const { info } = useDesk();
  const { disconnect } = usePhoneDesk();
  const { call, history, registration, why } = phone.state;
  const display = useRef<HTMLInputElement>(null);
  const dial = (event: SubmitEvent): void => {
    event.preventDefault();
    const number = display.current?.value.trim() ?? '';
    if (number === '') return;
    void phone.dial(number, null);
    (event.currentTarget as HTMLFormElement).reset();
  };
  const press = (key: string): void => {
    if (call?.phase === 'talking') phone.press(key);
    else if (display.current) display.current.value += key;
  };
  return (
    <section class="card phone" aria-label={`Phone ${phone.username}`}>
      <h2>
        {phone.username} <Badge tone={REGISTRATION_TONES[registration]}>{registration}</Badge>
      </h2>
      {why && (
        <p class="fault" role="alert">
          {why}
        </p>
      )}
      {call ? <CallPanel call={call} phone={phone} /> : <p class="display idle">Ready</p>}
      <form class="dial" onSubmit={dial}>
        <label>
          Number
          <input ref={display} type="tel" maxLength={32} autocomplete="off" disabled={call !== null} />
        </label>
        <button class="answer" type="submit" disabled={call !== null || registration !== 'registered'}>
          Call
        </button>
      </form>
      <fieldset class="keypad" aria-label={`Keypad of ${phone.username}`}>
        {KEYS.map((key) => (
          <button key={key} type="button" onClick={() => press(key)} aria-label={KEY_NAMES[key] ?? key}>
            {key}
          </button>
        ))}
      </fieldset>
      {info.codes
        .filter(({ feature }) => feature === 'redial' || feature === 'return')
        .map(({ code, feature }) => (
          <StarCode
            key={code}
            code={code}
            feature={feature}
            username={phone.username}
            disabled={call !== null || registration !== 'registered'}
            onDial={(reaches) => void phone.dial(code, reaches)}
          />
        ))}
      <History calls={history} />
      <button type="button" class="quiet" onClick={() => disconnect(phone)}>
        Disconnect {phone.username}
      </button>
    </section>
  );
}

const KEY_NAMES: Readonly<Record<string, string>> = { '*': 'star', '#': 'hash' };

function CallPanel({ call, phone }: { call: CallState; phone: Softphone }) {
  const { live } = useDesk();
  const { direction, muted, number, phase, reaches, sinceMs, sound, tones } = call;
  return (
    <div class={`display ${phase}`} role="status">
      <p>
        {TITLES[`${direction} ${phase}`]} <strong>{number}</strong>
        {reaches && ` → ${reaches}`}
      </p>
      {phase === 'talking' && (
        <p class="number">
          {callLength(Math.max(0, (live.nowMs - sinceMs) / 1000))} {tones && <kbd>{tones}</kbd>}
        </p>
      )}
      {sound && (
        <p class="hint">
          Sound: <span class="received">{sound.receivedPerSecond}</span> packets/s in,{' '}
          <span class="sent">{sound.sentPerSecond}</span> out{' '}
          <meter min={0} max={0.5} value={sound.level} aria-label="How loud the other side is">
            {sound.level.toFixed(2)}
          </meter>
        </p>
      )}
      <div class="actions">
        {direction === 'in' && phase === 'ringing' && (
          <button type="button" class="answer" onClick={() => void phone.answer()}>
            Answer
          </button>
        )}
        {phase === 'talking' && (
          <button type="button" aria-pressed={muted} onClick={() => phone.mute(!muted)}>
            Mute
          </button>
        )}
        <button type="button" class="danger" onClick={() => void phone.hangUp()}>
          {direction === 'in' && phase === 'ringing' ? 'Decline' : 'Hang up'}
        </button>
      </div>
    </div>
  );
}

const TITLES: Readonly<Record<string, string>> = {
  'out calling': 'Calling',
  'out ringing': 'Rings at',
  'out talking': 'Talking to',
  'in ringing': 'Call from',
  'in talking': 'Talking to',
};

function History({ calls }: { calls: readonly PastCall[] }) {
  if (calls.length === 0) return null;
  return (
    <div class="history">
      <h3>Calls</h3>
      <ul class="list">
        {calls.map(({ atMs, direction, id, number, outcome, reaches }) => (
          <li key={id}>
            {direction === 'out' ? '↗ to' : '↙ from'} <strong>{number}</strong>
            {reaches && ` → ${reaches}`}{' '}
            <span class="hint">
              {outcome}, {new Date(atMs).toLocaleTimeString('en-GB')}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
