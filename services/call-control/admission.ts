import type { StoredTerminal } from '../../shared/domain/terminal.ts';
import type { DigestAuthenticator } from '../../shared/sip/digest/authenticator.ts';
import type { DigestKind } from '../../shared/sip/digest/types.ts';
import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { Answer } from '../../shared/sip/transaction/user.ts';
import type { Flow } from '../../shared/sip/transport/flow.ts';
import { DATABASE_AWAY } from './answers.ts';
import type { Originator } from './originator.ts';
import { assertedIdentity, privacyOf } from './request-claims.ts';
import { sitesPassed } from './site-marker.ts';
import type { TerminalDirectory } from './terminal-directory.ts';
import type { TrustedSources } from './trusted-sources.ts';

export interface AdmissionOptions {
  readonly digest: DigestAuthenticator;
  readonly directory: TerminalDirectory;
  readonly sources: TrustedSources;
  readonly domain: string;
  readonly onChallengeFailed: (reason: string) => void;
}

export type Admitted = { readonly originator: Originator } | { readonly refusal: Answer };
export type Verified = { readonly terminal: StoredTerminal } | { readonly refusal: Answer };

const DISABLED: Answer = { status: 403, reason: 'Terminal Disabled' };

/** Decides whether a request is let in, and as whose (F10, R5). */
export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** A trusted source speaks for itself and for whom it asserts; everybody else proves who they are (407). */
  async admit(request: SipRequest, source: Flow): Promise<Admitted> {
    const common = { privacy: privacyOf(request), fromUri: request.from?.uriText ?? '' };
    if (this.#options.sources.has(source)) {
      const asserted = assertedIdentity(request);
      const terminal = asserted === null ? null : await this.#terminalNamed(asserted.number);
      const claims = { ...common, asserted, authenticated: null };
      return { originator: { terminal, claims, trusted: true, sitesPassed: sitesPassed(request) } };
    }
    const verified = await this.verify(request, source, 'proxy');
    if ('refusal' in verified) return verified;
    const { terminal } = verified;
    const authenticated = { number: terminal.number, uri: `sip:${terminal.number}@${this.#options.domain}` };
    return {
      originator: {
        terminal,
        claims: { ...common, asserted: null, authenticated },
        trusted: false,
        sitesPassed: [],
      },
    };
  }

  /** Digest (RFC 3261 22). An unknown user and a wrong password get the same challenge again. */
  async verify(request: SipRequest, source: Flow, kind: DigestKind): Promise<Verified> {
    const { digest, directory } = this.#options;
    let found: StoredTerminal | null = null;
    try {
      const verdict = await digest.verify(request, {
        kind,
        source: source.remoteAddress,
        findHa1: async (username, algorithm) => {
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

  /** Null as well when nobody can tell now: the call of a trusted source goes on without its record. */
  async #terminalNamed(name: string): Promise<StoredTerminal | null> {
    const { directory } = this.#options;
    const found = await directory.dialed(name).catch(() => null);
    return found?.enabled ? found : null;
  }
}

function admitted(terminal: StoredTerminal | null): Verified {
  return terminal?.enabled ? { terminal } : { refusal: DISABLED };
}
