import { type Asker, decide, type GatePolicy, mayReach, type Place } from '../../shared/domain/gate.ts';
import type { Answer } from '../../shared/sip/transaction/user.ts';

/** The gate (G1) under this site's policy, with its refusals as answers. */
export class CallGate {
  readonly #policy: GatePolicy;

  constructor(policy: GatePolicy) {
    this.#policy = policy;
  }

  mayReach(asker: Asker, place: Place): boolean {
    return mayReach(asker, place, this.#policy);
  }

  /** Why not, as an answer; undefined for who may. Who still has to prove something was challenged before. */
  refusal(asker: Asker, place: Place): Answer | undefined {
    const decision = decide(asker, place, this.#policy);
    switch (decision.kind) {
      case 'go':
        return undefined;
      case 'prove':
        return { status: 403 };
      case 'refuse':
        return { status: decision.status, reason: decision.reason };
    }
  }
}
