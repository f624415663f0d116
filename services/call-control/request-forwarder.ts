import type { SipRequest } from '../../shared/sip/message/message.ts';
import type { StatefulProxy } from '../../shared/sip/proxy/stateful-proxy.ts';
import type { ServerTransaction } from '../../shared/sip/transaction/user.ts';
import { DATABASE_AWAY } from './answers.ts';
import type { FeatureCalls } from './feature-calls.ts';
import { assertIdentity, editedResponse } from './identity-headers.ts';
import { type Originator, partyOf } from './originator.ts';
import type { OwnAddresses } from './own-addresses.ts';
import type { Callee, CallTarget, Router } from './router.ts';
import { isAbsence, type Silence, StagedSearch } from './staged-search.ts';
import type { TerminalDirectory } from './terminal-directory.ts';

export interface RequestForwarderOptions {
  readonly domain: string;
  readonly proxy: StatefulProxy;
  readonly router: Router;
  readonly directory: TerminalDirectory;
  readonly features: FeatureCalls;
  readonly addresses: OwnAddresses;
  readonly silence: Silence;
}

/** These found a dialog, and later requests of it come this way too (RFC 6665, RFC 3515). */
const DIALOG_METHODS = new Set(['SUBSCRIBE', 'REFER']);

/** MESSAGE, SUBSCRIBE and the like: routed as calls are, recorded never. */
export class RequestForwarder {
  readonly #options: RequestForwarderOptions;

  constructor(options: RequestForwarderOptions) {
    this.#options = options;
  }

  async forward(
    request: SipRequest,
    transaction: ServerTransaction,
    originator: Originator,
    dialed: string,
    alongRoute: boolean,
  ): Promise<void> {
    const { addresses, directory, domain, features, proxy, router, silence } = this.#options;
    if (features.featureOf(dialed) !== null)
      return void transaction.reply({ status: 405, headers: [['Allow', 'INVITE, ACK, CANCEL, OPTIONS']] });
    const ours = originator.trusted || addresses.isOurs(request.uri);
    const callee: Callee = ours ? await directory.dialed(dialed).catch(() => 'unreadable') : null;
    const way = ours || alongRoute ? null : router.toForeign(request, originator);
    if (way !== null && 'refusal' in way) return void transaction.reply(way.refusal);
    const stages = alongRoute
      ? router.routeStages(proxy.routing(request).uri)
      : (way?.stages ?? (await router.stages(request, dialed, callee, originator)));
    if (stages === null) return void transaction.reply({ status: 404 });
    if (stages.length === 0)
      return void transaction.reply(callee === 'unreadable' ? DATABASE_AWAY : { status: 480 });
    const search = new StagedSearch(stages, silence);
    const asking = proxy.forward<CallTarget>(request, transaction, {
      targets: search.first,
      recordRoute: DIALOG_METHODS.has(request.method),
      party: partyOf(originator),
      edit: (draft) => assertIdentity(draft, request, originator, domain),
      editResponse: editedResponse,
      isAbsence,
      onTargetFinal: (_status, target, response) => search.answered(target, response),
      onExhausted: () => search.next(),
      onOutcome: () => search.end(),
    });
    search.begin(asking);
  }
}
