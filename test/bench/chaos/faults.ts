import { setTimeout as delay } from 'node:timers/promises';
import type { Endpoints } from '../../../services/lab/endpoints.ts';
import type { RunningLab } from '../../support/lab.ts';
import {
  failovers,
  killCallControl,
  killPart,
  runLab,
  standbyBehind,
  untilEqual,
  untilFailedOver,
  untilStreaming,
} from './lab-faults.ts';
import type { Town } from './town.ts';

export interface Stage {
  readonly lab: RunningLab;
  readonly endpoints: Endpoints;
  readonly town: Town;
}

export interface Aftermath {
  /** Rows, by a failover. */
  readonly salvaged?: number;
  /** A killed call-control, and until when its next life may refuse, milliseconds since 1970. */
  readonly back?: { readonly site: string; readonly atMs: number };
}

export interface Fault {
  readonly name: string;
  /** Before anybody calls. */
  readonly prepare?: (stage: Stage) => Promise<void>;
  /** Under calls, and nothing is struck yet. */
  readonly approach?: (stage: Stage) => Promise<void>;
  readonly strike: (stage: Stage) => Promise<Aftermath>;
  readonly mustSalvage?: true;
}

/** A site's phones are without it for so long. */
const AWAY_MS = 3_000;

const kill = (site: string, part: string): Fault => ({
  name: `kill -9 ${site}.${part}`,
  strike: async ({ lab, town }) => {
    if (part === 'call-control') return { back: await killCallControl(lab, site, () => town.killed(site)) };
    await killPart(lab, site, part);
    return {};
  },
});

const PRIMARY: Fault = {
  name: "kill -9 of a's primary, repmgr promotes",
  strike: async ({ lab, endpoints }) => {
    const known = new Set((await failovers(endpoints)).map(({ id }) => id));
    await killPart(lab, 'a', 'postgres');
    return { salvaged: await untilFailedOver(endpoints, known) };
  },
};

/**
 * After {@link PRIMARY}: back the other way, but the standby lacks a while of calls, and call-control, which would write them
 * again, dies with the primary. Only site b still has them. What nobody but the killed held is beyond saving: so a's phones
 * pause until b has it all.
 */
const BEHIND: Fault = {
  name: "kill -9 of a's primary and call-control, standby behind",
  mustSalvage: true,
  prepare: ({ lab, endpoints }) => standbyBehind(lab, endpoints),
  approach: async ({ endpoints, town }) => {
    await town.rest('a');
    await untilEqual(endpoints, 'a');
  },
  strike: async ({ lab, endpoints, town }) => {
    const known = new Set((await failovers(endpoints)).map(({ id }) => id));
    const back = killCallControl(lab, 'a', () => town.killed('a'));
    await Promise.all([killPart(lab, 'a', 'standby'), town.call('a')]);
    return { back: await back, salvaged: await untilFailedOver(endpoints, known) };
  },
};

const WHOLE_SITE: Fault = {
  name: 'site b stops, its phones move to a',
  strike: async ({ lab, endpoints, town }) => {
    await town.rest('b');
    await untilEqual(endpoints, 'a');
    await runLab(lab, '--halt', 'b');
    await town.move('b', 'a');
    await town.call('b', 'a');
    await delay(AWAY_MS);
    await runLab(lab, '--revive', 'b');
    await untilStreaming(endpoints, 'a');
    await town.rest('b');
    await town.move('b', 'b');
    await town.call('b');
    return {};
  },
};

export const SHORT: readonly Fault[] = [PRIMARY, kill('a', 'call-control'), kill('a', 'redis')];
export const LONG: readonly Fault[] = [
  ...SHORT,
  BEHIND,
  kill('b', 'postgres'),
  kill('a', 'replicator'),
  kill('b', 'replicator'),
  kill('a', 'coordinator'),
  kill('a', 'api'),
  kill('b', 'redis'),
  kill('b', 'call-control'),
  WHOLE_SITE,
];
