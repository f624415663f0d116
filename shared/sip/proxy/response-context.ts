import { COMPLETED_ELSEWHERE, saysCompletedElsewhere } from '../message/completed-elsewhere.ts';
import { MessageDraft } from '../message/draft.ts';
import type { SipRequest, SipResponse } from '../message/message.ts';
import type { SipServer } from '../server.ts';
import type { Answer, ServerTransaction, ServerTransactionUser } from '../transaction/user.ts';
import { type BranchResult, bestResponse, otherChallenges } from './best-response.ts';
import { Branch, type BranchOwner, type ForwardPlan } from './branch.ts';
import { maxBreadthOf, splitBreadth } from './max-breadth.ts';
import type { Forwarding, ForwardOptions, ForwardOutcome, Instead, Target } from './types.ts';

type Hooks<T extends Target> = Omit<ForwardOptions<T>, 'targets' | 'recordRoute' | 'edit'>;

/**
 * The response context of RFC 3261 16: the branches of one forwarded request. Upstream hears one final response, chosen
 * when no branch is pending any more, except that each 2xx to an INVITE passes at once.
 */
export class ResponseContext<T extends Target>
  implements Forwarding<T>, BranchOwner<T>, ServerTransactionUser
{
  readonly #transaction: ServerTransaction;
  readonly #server: SipServer;
  readonly #pass503: boolean;
  #branches: Branch<T>[] = [];
  #results: BranchResult<T>[] = [];
  #plan: ForwardPlan | undefined;
  /** After the end only what further 2xx responses need is kept. */
  #hooks: Hooks<T>;
  /** Forks under way: one may begin while another starts its branches. */
  #starting = 0;
  /** The owner is deciding what to do instead of passing the best response on. */
  #deciding = false;
  #elsewhere = false;

  constructor(transaction: ServerTransaction, plan: ForwardPlan, hooks: Hooks<T>, pass503: boolean) {
    this.#transaction = transaction;
    this.#server = plan.server;
    this.#plan = plan;
    this.#hooks = hooks;
    this.#pass503 = pass503;
  }

  start(targets: readonly T[]): void {
    if (this.#transaction.finished) return;
    this.#transaction.user = this;
    this.#transaction.trying();
    if (this.#transaction.cancelled) this.#endCancelled();
    else if (targets.length === 0) this.#end({ kind: 'rejected', status: 480 }, { status: 480 });
    else this.#fork(targets);
  }

  abandon(answer: Answer): void {
    if (this.#transaction.finished) return;
    // A branch that has said nothing counts as 487 once it is cancelled, which is not the answer here.
    const branches = this.#branches;
    this.#end({ kind: 'abandoned', status: answer.status }, answer);
    for (const branch of branches) branch.cancel();
  }

  add(targets: readonly T[]): void {
    const { cancelled, finished } = this.#transaction;
    if (!finished && !cancelled && !this.#deciding) this.#fork(targets);
  }

  giveUp(targets: ReadonlySet<T>): void {
    for (const branch of this.#branches) if (targets.has(branch.target)) branch.giveUp();
  }

  /** RFC 3261 16.10: the branches answer 487 and that goes upstream, unless one of them accepts first. */
  onCancel(cancel: SipRequest): void {
    this.#elsewhere = saysCompletedElsewhere(cancel);
    this.#cancelPending(this.#elsewhere ? COMPLETED_ELSEWHERE : undefined);
  }

  onTrying(branch: Branch<T>): void {
    this.#told(() => this.#hooks.onTrying?.(branch.target));
  }

  onProvisional(response: SipResponse, branch: Branch<T>): void {
    if (this.#transaction.finished) return;
    this.#forwardUpstream(response, branch.target);
    this.#told(() => this.#hooks.onProvisional?.(response, branch.target));
  }

  onFinal(status: number, response: SipResponse | undefined, branch: Branch<T>): void {
    if (status < 300 && response !== undefined) {
      this.#onSuccess(response, branch.target);
      return;
    }
    if (this.#transaction.finished) return;
    const { target } = branch;
    const isAbsence = response !== undefined && this.#hooks.isAbsence?.(response, target) === true;
    this.#results.push({ status, response, target, isAbsence });
    this.#told(() => this.#hooks.onTargetFinal?.(status, branch.target, response));
    // RFC 3261 16.7 item 5: a 6xx ends the search everywhere.
    if (status >= 600) this.#cancelPending();
    this.#concludeIfDone();
  }

  #fork(targets: readonly T[]): void {
    const plan = this.#plan;
    if (plan === undefined) return;
    const pending = this.#branches.filter((branch) => branch.pending);
    const shares = pending.map((branch) => branch.breadth);
    const { branches, each } = splitBreadth(maxBreadthOf(plan.request), shares, targets.length);
    const added = targets.slice(0, branches).map((target) => new Branch(this, target, plan, each));
    this.#branches = [...pending, ...added];
    // A branch may fail while it starts; the best response is chosen only after all have started.
    this.#starting++;
    for (const branch of added) branch.start(plan);
    for (const target of targets.slice(branches)) this.#tooBroad(target);
    this.#starting--;
    this.#concludeIfDone();
  }

  /** RFC 5393 5.3.3.2: a target that may not be tried beside the others. */
  #tooBroad(target: T): void {
    this.#results.push({ status: 440, response: undefined, target });
    this.#told(() => this.#hooks.onTargetFinal?.(440, target, undefined));
  }

  #onSuccess(response: SipResponse, target: T): void {
    if (this.#transaction.finished) {
      this.#forwardUpstream(response, target);
      return;
    }
    // The owner may give up the others at once; what becomes of them concludes nothing any more.
    this.#deciding = true;
    this.#told(() => this.#hooks.onTargetFinal?.(response.status, target, response));
    const branches = this.#branches;
    this.#decide({ kind: 'answered', response, target }, () => this.#forwardUpstream(response, target));
    for (const branch of branches) branch.cancel(COMPLETED_ELSEWHERE);
  }

  #concludeIfDone(): void {
    if (this.#transaction.finished || this.#deciding || this.#starting > 0) return;
    if (this.#branches.some((branch) => branch.pending)) return;
    const best = bestResponse(this.#results);
    if (best === undefined) return;
    if (this.#transaction.cancelled) this.#concludeCancelled(best);
    else this.#conclude(best);
  }

  /** What a cancelled branch answers is 487; when it said nothing at all, 487 is still what the caller waits for. */
  #concludeCancelled(best: BranchResult<T>): void {
    const silent = best.response === undefined;
    if (silent) this.#endCancelled();
    else this.#decide({ kind: 'cancelled', elsewhere: this.#elsewhere }, () => this.#forwardBest(best));
  }

  #conclude(best: BranchResult<T>): void {
    this.#deciding = true;
    const instead = this.#told(() => this.#hooks.onExhausted?.(best.status));
    if (!(instead instanceof Promise)) this.#goOn(best, instead);
    else
      instead
        .catch((error: unknown) => {
          this.#server.faulted(error);
          return undefined;
        })
        .then((decided) => this.#goOnLater(best, decided));
  }

  /** While the owner decided, a late 2xx may have passed, or the caller may have given up. */
  #goOnLater(best: BranchResult<T>, instead: Instead<T>): void {
    if (this.#transaction.finished) return;
    if (this.#transaction.cancelled) this.#endCancelled();
    else this.#goOn(best, instead);
  }

  #goOn(best: BranchResult<T>, instead: Instead<T>): void {
    this.#deciding = false;
    if (isTargets(instead)) {
      if (instead.length > 0) {
        this.#results = [];
        this.#fork(instead);
        return;
      }
    } else if (instead !== undefined) {
      this.#end({ kind: 'rejected', status: instead.status, target: best.target }, instead);
      return;
    }
    this.#reject(best);
  }

  #reject(best: BranchResult<T>): void {
    const { response, status, target } = best;
    const upstream = this.#upstreamStatus(best);
    if (upstream === status && response !== undefined) {
      this.#decide({ kind: 'rejected', status, response, target }, () => this.#forwardBest(best));
    } else if (status === 408 && this.#plan?.request.method !== 'INVITE') {
      // RFC 4320 4.2: a 408 would reach a client that has given up already.
      this.#decide({ kind: 'rejected', status, target }, () => this.#transaction.discard());
    } else {
      this.#end({ kind: 'rejected', status: upstream, target }, { status: upstream });
    }
  }

  /** RFC 3261 16.7 item 6: a 503 speaks of one hop only. A flow that failed here is the target's absence. */
  #upstreamStatus({ response, status }: BranchResult<T>): number {
    if (status === 503 && !this.#pass503) return 500;
    return status === 430 && response === undefined ? 480 : status;
  }

  #forwardBest(best: BranchResult<T>): void {
    const { response, target } = best;
    if (response !== undefined) this.#forwardUpstream(response, target, otherChallenges(best, this.#results));
  }

  #forwardUpstream(
    response: SipResponse,
    target: T,
    extra: readonly (readonly [name: string, value: string])[] = [],
  ): void {
    const draft = MessageDraft.from(response);
    draft.pop('via');
    for (const [name, value] of extra) draft.append(name, value);
    this.#told(() => this.#hooks.editResponse?.(draft, response, target));
    this.#transaction.send({ status: response.status, text: draft.serialize() });
  }

  #endCancelled(): void {
    this.#end({ kind: 'cancelled', elsewhere: this.#elsewhere }, { status: 487 });
  }

  #end(outcome: ForwardOutcome<T>, answer: Answer): void {
    this.#decide(outcome, () => this.#transaction.reply(answer));
  }

  /** The owner hears of the outcome before the caller does: what it writes down must survive this process by then. */
  #decide(outcome: ForwardOutcome<T>, pass: () => void): void {
    const { editResponse, onOutcome } = this.#hooks;
    this.#hooks = editResponse === undefined ? {} : { editResponse };
    this.#told(() => onOutcome?.(outcome));
    pass();
    this.#plan = undefined;
    this.#results = [];
    this.#branches = [];
  }

  /** Tells the owner; what it throws is reported and the call goes on. */
  #told<R>(tell: () => R): R | undefined {
    try {
      return tell();
    } catch (error) {
      this.#server.faulted(error);
      return undefined;
    }
  }

  #cancelPending(reason?: string): void {
    for (const branch of this.#branches) branch.cancel(reason);
  }
}

const isTargets = <T>(instead: readonly T[] | Answer | undefined): instead is readonly T[] =>
  Array.isArray(instead);
