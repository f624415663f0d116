/** Faults of site a's two servers. */
import { setTimeout as delay } from 'node:timers/promises';
import { failovers, untilEqual, untilFailedOver } from './asked-lab.ts';
import type { Aftermath, Fault, Stage } from './fault.ts';
import { haPair, leaveBehind, promote, untilPromoted, withStandby } from './ha-pair.ts';
import { freezePart, killCallControl, killPart, runLab } from './lab-parts.ts';

/** Calls go on beside what is wrong for so long. */
const WHILE_MS = 3_000;

/** Call-control keeps a record until it has seen, looking each second, that every peer has it. */
const LET_GO_MS = 4_000;

const prepare = ({ lab, endpoints }: Stage) => withStandby(lab, endpoints);

const standbyBehind = async ({ lab, endpoints }: Stage): Promise<void> => {
  const { standby } = await withStandby(lab, endpoints);
  await leaveBehind(standby);
};

/** Does it, and waits for the failover that it leads to. */
async function failOver({ endpoints }: Stage, strike: () => Promise<unknown>): Promise<Aftermath> {
  const known = new Set((await failovers(endpoints)).map(({ id }) => id));
  await strike();
  return { failedOver: await untilFailedOver(endpoints, known) };
}

export const PRIMARY: Fault = {
  name: "kill -9 of a's primary, repmgr promotes",
  prepare,
  strike: async (stage) => {
    const { primary } = await haPair(stage.endpoints);
    return failOver(stage, () => killPart(stage.lab, 'a', primary.part));
  },
};

/** Call-control, which would write them again, dies with the primary: of what the standby lacks only site b has anything. */
export const BEHIND: Fault = {
  name: "kill -9 of a's primary and call-control, standby behind",
  mustSalvage: true,
  prepare: standbyBehind,
  // What nobody but the killed held is beyond saving: so the phones use site b until that one has it all.
  approach: async ({ endpoints, town }) => {
    await town.rest();
    await untilEqual(endpoints, 'a');
    await town.begin(['b']);
    await delay(LET_GO_MS);
  },
  strike: async (stage) => {
    const { primary } = await haPair(stage.endpoints);
    const forgiven = killCallControl(stage.lab, 'a');
    return {
      ...(await failOver(stage, () => killPart(stage.lab, 'a', primary.part))),
      forgiven: await forgiven,
    };
  },
};

/** Neither the standby nor site b ever got the calls: call-control alone can write them again. */
export const NOBODY_ELSE: Fault = {
  name: "kill -9 of a's primary, nobody else has its last calls",
  prepare: standbyBehind,
  // Nobody calls any more then: what is missing afterwards no later call makes good.
  approach: async ({ lab, town }) => {
    await runLab(lab, '--halt', 'b.replicator');
    await delay(WHILE_MS);
    await town.rest();
  },
  strike: async (stage) => {
    const { lab, endpoints } = stage;
    const { primary, other } = await haPair(endpoints);
    return failOver(stage, async () => {
      await killPart(lab, 'a', primary.part);
      await untilPromoted(other);
      await delay(WHILE_MS);
      await runLab(lab, '--revive', 'b.replicator');
    });
  },
};

export const ZOMBIE: Fault = {
  name: "a's standby promoted beside the living primary",
  prepare,
  strike: async (stage) => {
    const { other } = await haPair(stage.endpoints);
    return failOver(stage, () => promote(other));
  },
};

export const FROZEN: Fault = {
  name: "a's primary frozen, another promoted, then woken",
  prepare,
  strike: async (stage) => {
    const { primary, other } = await haPair(stage.endpoints);
    const frozen = await freezePart(stage.lab, 'a', primary.part);
    try {
      return await failOver(stage, async () => {
        await untilPromoted(other);
        await delay(WHILE_MS);
        frozen.wake();
      });
    } finally {
      frozen.wake();
    }
  },
};

/** To the servers a frozen process is one behind a cut link: its sessions stand, and nothing comes from them. */
export const COORDINATOR_CUT_OFF: Fault = {
  name: "a's coordinator cut off in the middle of a failover",
  prepare,
  strike: async (stage) => {
    const { lab, endpoints } = stage;
    const { primary } = await haPair(endpoints);
    const known = new Set((await failovers(endpoints)).map(({ id }) => id));
    const begun = async () => (await failovers(endpoints)).some(({ id }) => !known.has(id));
    await killPart(lab, 'a', primary.part);
    while (!(await begun())) await delay(20);
    const frozen = await freezePart(lab, 'a', 'coordinator');
    try {
      const failedOver = await untilFailedOver(endpoints, known);
      frozen.wake();
      await delay(WHILE_MS);
      return { failedOver };
    } finally {
      frozen.wake();
    }
  },
};
