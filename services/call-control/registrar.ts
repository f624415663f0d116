import type { Binding } from '../../shared/domain/binding.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { Location } from '../../shared/redis/location.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { HeaderLine } from '../../shared/sip/message/response.ts';
import type { Answer, ServerTransaction } from '../../shared/sip/transaction/user.ts';
import type { Flow } from '../../shared/sip/transport/flow.ts';
import type { Admission } from './admission.ts';
import { type ExpiryBounds, readRegistration } from './contact-bindings.ts';
import { unsupportedBy } from './option-tags.ts';
import type { OwnAddresses } from './own-addresses.ts';
import type { RegisteredFlows } from './registered-flows.ts';
import type { ReservedPlaces } from './reserved-places.ts';
import type { TrustedSources } from './trusted-sources.ts';
import { dialedUser } from './user-part.ts';

export interface RegistrarOptions {
  readonly admission: Admission;
  readonly location: Location;
  readonly addresses: OwnAddresses;
  readonly sources: Pick<TrustedSources, 'has'>;
  readonly reserved: ReservedPlaces;
  readonly flows: RegisteredFlows;
  readonly bounds: ExpiryBounds;
  readonly onRegistered: (result: 'registered' | 'removed' | 'refused') => void;
}

const SUPPORTED = ['path', 'outbound'];

/** RFC 3261 10.3, with Path (RFC 3327) and flows (RFC 5626). */
export class Registrar {
  readonly #options: RegistrarOptions;

  constructor(options: RegistrarOptions) {
    this.#options = options;
  }

  async register(request: SipRequest, transaction: ServerTransaction): Promise<void> {
    const answer = await this.#answer(request, transaction);
    if (answer.status !== 200 && answer.status !== 401) this.#options.onRegistered('refused');
    if (answer.status === 200) transaction.reply(answer);
    else transaction.refuse(answer);
  }

  async #answer(request: SipRequest, { source }: Pick<ServerTransaction, 'source'>): Promise<Answer> {
    const { addresses, admission, bounds, reserved, sources } = this.#options;
    const unsupported = unsupportedBy(request, SUPPORTED);
    if (unsupported !== undefined) return unsupported;
    if (!addresses.isOurs(request.uri)) return { status: 404, reason: 'Unknown Domain' };
    const verified = await admission.verify(request, source, 'www');
    if ('refusal' in verified) return verified.refusal;
    const { terminal } = verified;
    if (!this.#mayRegister(terminal, request)) return { status: 403, reason: 'Not Your Address Of Record' };
    const registration = readRegistration(request, {
      source,
      trusted: sources.has(source),
      reserved: (uri) => reserved.named(uri),
      owner: addresses.routeUri,
      nowMs: Date.now(),
      bounds,
    });
    switch (registration.kind) {
      case 'invalid':
        return { status: 400, reason: registration.reason };
      case 'refused':
        return { status: 403, reason: registration.reason };
      case 'too-brief':
        return { status: 423, headers: [['Min-Expires', String(bounds.minSeconds)]] };
      case 'fetch':
        return this.#listing(request, await this.#options.location.find(terminal.aor));
      case 'remove-all':
        return this.#change(request, source, terminal, null);
      case 'change':
        return this.#change(request, source, terminal, registration.bindings);
    }
  }

  /** `null` removes every binding. */
  async #change(
    request: SipRequest,
    source: Flow,
    { aor }: StoredTerminal,
    bindings: readonly Binding[] | null,
  ): Promise<Answer> {
    const { flows, location, onRegistered } = this.#options;
    const named = { callId: request.callId ?? '', cseq: request.cseq?.sequence ?? 0 };
    const outcome = await location.change(
      aor,
      bindings === null ? { removeAll: true, ...named } : { bindings },
    );
    if (outcome.kind === 'out-of-order') return { status: 400, reason: 'CSeq Out Of Order' };
    if (outcome.kind === 'too-many') return { status: 403, reason: 'Too Many Contacts' };
    await flows.registered(aor, source);
    onRegistered(bindings?.some((binding) => binding.expiresAtMs > 0) ? 'registered' : 'removed');
    return this.#listing(request, outcome.bindings);
  }

  /** The AoR in To belongs to the terminal that proved itself, by number, username or its full address. */
  #mayRegister({ aor, number, username }: StoredTerminal, request: SipRequest): boolean {
    const to = request.to;
    const user = dialedUser(to?.uri);
    if (to === undefined || user === undefined || !this.#options.addresses.isOurs(to.uri)) return false;
    return user === number || user === username || to.uriText === aor;
  }

  #listing(request: SipRequest, bindings: readonly Binding[]): Answer {
    const nowMs = Date.now();
    const headers: HeaderLine[] = bindings.map((binding) => ['Contact', contactValue(binding, nowMs)]);
    for (const path of request.values('path')) headers.push(['Path', path]);
    if (usesOutbound(request)) headers.push(['Require', 'outbound']);
    headers.push(['Supported', 'path, outbound'], ['Date', new Date(nowMs).toUTCString()]);
    return { status: 200, headers };
  }
}

function contactValue({ contact, expiresAtMs, instance, q, regId }: Binding, nowMs: number): string {
  const seconds = Math.max(1, Math.ceil((expiresAtMs - nowMs) / 1000));
  const parameters = [`expires=${seconds}`];
  if (q !== 1000) parameters.push(`q=${q / 1000}`);
  if (instance !== null) parameters.push(`+sip.instance="${instance}"`);
  if (regId !== null) parameters.push(`reg-id=${regId}`);
  return `<${contact}>;${parameters.join(';')}`;
}

/** RFC 5626 6: said only to a client that asked and is connected directly. */
function usesOutbound(request: SipRequest): boolean {
  const asked = request.values('supported').some((tag) => tag.toLowerCase() === 'outbound');
  return (
    asked &&
    request.values('via').length === 1 &&
    request.values('contact').some((value) => value.includes('reg-id'))
  );
}
