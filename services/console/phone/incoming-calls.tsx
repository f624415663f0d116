import { usePhoneDesk } from './phone-desk.ts';

/** Calls that ring, above whatever view is shown. */
export function IncomingCalls() {
  const { phones } = usePhoneDesk();
  const ringing = phones.filter(
    ({ state: { call } }) => call?.direction === 'in' && call.phase === 'ringing',
  );
  return (
    <div role="status">
      {ringing.map((phone) => (
        <div key={phone.username} class="incoming">
          <p>
            <strong>{phone.state.call?.number}</strong> calls {phone.username}
          </p>
          <div class="actions">
            <button
              type="button"
              class="answer"
              onClick={() => {
                void phone.answer();
                location.hash = '#/phone';
              }}
            >
              Answer
            </button>
            <button type="button" class="danger" onClick={() => void phone.hangUp()}>
              Decline
            </button>
          </div>
        </div>
      ))}
    </div>
  );
}
