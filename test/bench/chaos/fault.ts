import type { Endpoints } from '../../../services/lab/endpoints.ts';
import type { RunningLab } from '../../support/lab.ts';
import type { FailedOver } from './asked-lab.ts';
import type { Forgiven } from './tally.ts';
import type { Town } from './town.ts';

export interface Stage {
  readonly lab: RunningLab;
  readonly endpoints: Endpoints;
  readonly town: Town;
}

export interface Aftermath {
  /** Of the failover that it led to. */
  readonly failedOver?: FailedOver;
  readonly forgiven?: Forgiven;
  /** What else is not as it must be. */
  readonly faults?: readonly string[];
}

export interface Fault {
  readonly name: string;
  /** Before anybody calls. */
  readonly prepare?: (stage: Stage) => Promise<unknown>;
  /** Under calls, and nothing is struck yet. */
  readonly approach?: (stage: Stage) => Promise<void>;
  readonly strike: (stage: Stage) => Promise<Aftermath>;
  readonly mustSalvage?: true;
  /** More calls than the machine may serve: a 503 is an answer then, and so is none. */
  readonly mayRefuse?: true;
  /** No other process of the site can hear of a record: what one of them tells meanwhile is not judged. */
  readonly deaf?: true;
}
