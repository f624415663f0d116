import type { GateWorld, Party } from '../../support/raw/gate-world.ts';
import { statusOf } from '../../support/raw/message-text.ts';

/** One way to make the server send where it must not. */
export interface Attack {
  readonly name: string;
  /**
   * Prepares, calls `world.begin()`, attacks, and resolves with the answer to judge: a message, or undefined where none may
   * come.
   */
  readonly run: (world: GateWorld) => Promise<string | undefined>;
  /** What may be answered; unless given, any refusal (4xx). */
  readonly answers?: 'nothing' | readonly number[];
  /** Who may hear of it all the same. */
  readonly reaches?: readonly Party[];
}

/** The status of an answer, or what it is short of. */
export function judged(attack: Attack, answer: string | undefined): 'as it must' | string {
  if (answer === undefined) return attack.answers === 'nothing' ? 'as it must' : 'nothing';
  const status = statusOf(answer);
  const fits =
    attack.answers === undefined
      ? status >= 400 && status < 500
      : attack.answers !== 'nothing' && attack.answers.includes(status);
  return fits ? 'as it must' : `answered ${status}`;
}
