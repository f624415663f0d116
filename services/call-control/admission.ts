import { isAnonymous } from '../../shared/domain/caller.ts';
import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { DigestAuthenticator } from '../../shared/sip/digest/authenticator.ts';
import type { DigestKind } from '../../shared/sip/digest/types.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import { parseVia } from '../../shared/sip/syntax/via.ts';
import type { Answer } from '../../shared/sip/transaction/user.ts';
import type { Flow } from '../../shared/sip/transport/flow.ts';
import { DATABASE_AWAY } from './answers.ts';
import type { Originator, Sender } from './originator.ts';
import type { OwnAddresses } from './own-addresses.ts';
import { assertedIdentity, fromIdentity, privacyOf } from './request-claims.ts';
import type { TerminalDirectory } from './terminal-directory.ts';
import type { TrustedSources } from './trusted-sources.ts';
import { dialedUser } from './user-part.ts';

export interface AdmissionOptions {
  readonly digest: DigestAuthenticator;
  readonly directory: TerminalDirectory;
  readonly addresses: OwnAddresses;
  readonly sources: TrustedSources;
  readonly domain: string;
  readonly onChallengeFailed: (reason: string) => void;
}

export type Admitted = { readonly originator: Originator } | { readonly refusal: Answer };
export type Verified = { readonly terminal: StoredTerminal } | { readonly refusal: Answer };

/** Called once a request is worth waiting for: it answers a nonce of ours. */
export type WorthWaiting = () => void | Promise<void>;

const DISABLED: Answer = { status: 403, reason: 'Terminal Disabled' };
const NOT_YOURS: Answer = { status: 403, reason: 'From Names Another Subscriber' };

/** Decides whether a request is let in, and as whose (F10, R5). */
export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** A trusted sender speaks for itself and for whom it asserts; everybody else proves who they are (407). */
  async admit(
    request: SipRequest,
    source: Flow,
    sender: Sender,
    worthWaiting: WorthWaiting,
  ): Promise<Admitted> {
    const common = { privacy: privacyOf(request), fromUri: request.from?.uriText ?? '' };
    const { asker, sitesPassed } = sender;
    if (asker !== 'stranger') {
      const asserted = this.#assertedBy(request, source);
      const terminal = asserted === null ? null : await this.#terminalNamed(asserted.number);
      const claims = { ...common, asserted, authenticated: null };
      return { originator: { asker, terminal, claims, trusted: true, sitesPassed } };
    }
    const verified = await this.verify(request, source, 'proxy', worthWaiting);
    if ('refusal' in verified) return verified;
    const { terminal } = verified;
    if (await this.#namesAnother(request, terminal)) return { refusal: NOT_YOURS };
    const authenticated = { number: terminal.number, uri: `sip:${terminal.number}@${this.#options.domain}` };
    const claims = { ...common, asserted: null, authenticated };
    return { originator: { asker: 'terminal', terminal, claims, trusted: false, sitesPassed: [] } };
  }

  /** Digest (RFC 3261 22). An unknown user and a wrong password get the same challenge again. */
  async verify(
    request: SipRequest,
    source: Flow,
    kind: DigestKind,
    worthWaiting: WorthWaiting = () => {},
  ): Promise<Verified> {
    const { digest, directory } = this.#options;
    let found: StoredTerminal | null = null;
    try {
      const verdict = await digest.verify(request, {
        kind,
        source: this.#senderAddress(request, source),
        findHa1: async (username, algorithm) => {
          await worthWaiting();
          found = await directory.byUsername(username);
          return (algorithm === 'MD5' ? found?.ha1Md5 : found?.ha1Sha256) ?? undefined;
        },
      });
      if (verdict.kind === 'challenge' && verdict.reason !== 'no-credentials')
        this.#options.onChallengeFailed(verdict.reason);
      if (verdict.kind !== 'ok') return { refusal: verdict.answer };
    } catch {
      // Only the directory rejects: neither PostgreSQL nor a copy can tell who this is.
      return { refusal: DATABASE_AWAY };
    }
    return admitted(found);
  }

  /** Trunks that send no P-Asserted-Identity are believed in From, where the configuration says so. */
  #assertedBy(request: SipRequest, source: Flow): ReturnType<typeof assertedIdentity> {
    const asserted = assertedIdentity(request);
    return asserted === null && this.#options.sources.hasFrom(source) ? fromIdentity(request) : asserted;
  }

  /** G7: phones behind trusted proxies are told apart by where the first of those had the request from. */
  #senderAddress(request: SipRequest, source: Flow): string {
    const { sources } = this.#options;
    let { remoteAddress } = source;
    for (const value of request.values('via').slice(1)) {
      if (!sources.has({ remoteAddress })) break;
      const via = parseVia(value);
      if (via === undefined) break;
      remoteAddress = via.received ?? via.host;
    }
    return remoteAddress;
  }

  /** From decides nothing here, but a callee or a gateway may show it: another subscriber's name is not the sender's to give. */
  async #namesAnother(request: SipRequest, terminal: StoredTerminal): Promise<boolean> {
    const { addresses, directory } = this.#options;
    const { from } = request;
    if (from === undefined || isAnonymous(from.uriText) || !addresses.isOurs(from.uri)) return false;
    const user = dialedUser(from.uri);
    if (user === undefined || user === terminal.number || user === terminal.username) return false;
    const named = await directory.dialed(user).catch(() => null);
    return named !== null && named.terminalId !== terminal.terminalId;
  }

  /** Disabled ones too: they are told so (F20). Null as well when nobody can tell now: the call goes on without its record. */
  async #terminalNamed(name: string): Promise<StoredTerminal | null> {
    const { directory } = this.#options;
    return directory.named(name).catch(() => null);
  }
}

function admitted(terminal: StoredTerminal | null): Verified {
  return terminal?.enabled ? { terminal } : { refusal: DISABLED };
}
