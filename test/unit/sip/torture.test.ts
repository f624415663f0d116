import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../../shared/runtime/package-root.ts';
import { MessageDraft } from '../../../shared/sip/message/draft.ts';
import { type SipMessage, SipRequest, SipResponse } from '../../../shared/sip/message/message.ts';
import { parseMessage } from '../../../shared/sip/message/parse.ts';
import { buildResponse } from '../../../shared/sip/message/response.ts';
import { type Validity, validateRequest, validateResponse } from '../../../shared/sip/message/validate.ts';
import { parseContact } from '../../../shared/sip/syntax/name-addr.ts';
import { userOf } from '../../../shared/sip/syntax/uri.ts';

interface Expectation {
  readonly rfc: string;
  readonly says: string;
  readonly outcome: { readonly kind: string; readonly status?: number };
  readonly reads?: Readonly<Record<string, unknown>>;
}

const FOLDER = join(packageRoot(), 'sip-scenarios', 'torture');
const EXPECTATIONS: Readonly<Record<string, Expectation>> = JSON.parse(
  readFileSync(join(FOLDER, 'expectations.json'), 'utf8'),
);

const READERS: Readonly<Record<string, (message: SipMessage, expected: unknown) => unknown>> = {
  method: (message) => (message as SipRequest).method,
  status: (message) => (message as SipResponse).status,
  user: (message) => userOf((message as SipRequest).uri),
  toUser: (message) => userOf(message.to?.uri) ?? null,
  fromTag: (message) => message.from?.tag,
  toTag: (message) => message.to?.tag,
  maxForwards: (message) => message.maxForwards,
  sequence: (message) => message.cseq?.sequence,
  vias: (message) => message.values('via').length,
  branch: (message) => message.topVia?.branch,
  transport: (message) => message.topVia?.transport,
  bodyBytes: (message) => message.body.length,
  contactParameter: (message, expected) => {
    const contact = parseContact(message.values('contact')[0] ?? '');
    const name = (expected as readonly string[])[0] ?? '';
    return contact === '*' ? undefined : [name, contact?.parameters.get(name)];
  },
};

const read = (name: string): string => readFileSync(join(FOLDER, name)).toString('latin1');

function outcomeOf(message: SipMessage | undefined): Validity {
  if (message instanceof SipRequest) return validateRequest(message);
  return message instanceof SipResponse ? validateResponse(message) : { kind: 'drop', reason: 'no SIP' };
}

it('every torture message has its expectation', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.dat'));
  expect(files.toSorted()).toEqual(Object.keys(EXPECTATIONS).toSorted());
});

describe.each(Object.entries(EXPECTATIONS))('%s', (name, { rfc, says, outcome, reads = {} }) => {
  it(`${rfc}: ${says}`, () => {
    const message = parseMessage(read(name));
    expect(outcomeOf(message)).toMatchObject(outcome);
    for (const [field, expected] of Object.entries(reads)) {
      expect({ [field]: message && READERS[field]?.(message, expected) }).toEqual({ [field]: expected });
    }
  });

  it('is answered, when it is, without empty headers', () => {
    const message = parseMessage(read(name));
    if (!(message instanceof SipRequest) || outcome.kind !== 'respond') return;
    const { text } = buildResponse(message, { status: outcome.status ?? 400, toTag: 'tag' });
    expect(text).not.toMatch(/^[\w-]+: *(;tag=tag)?\r$/m);
    expect(text).toMatch(/^Via: /m);
  });

  it('is forwarded byte for byte where nothing is edited', () => {
    const text = read(name);
    const message = parseMessage(text);
    if (message === undefined || outcome.kind !== 'valid') return expect(outcome.kind).not.toBe('valid');
    const length = message.layout.bodyStart + message.body.length;
    expect(MessageDraft.from(message).serialize()).toBe(text.slice(0, length));
  });
});
