import { type Engine, execute, until, withClient } from './engine.ts';
import { fill, type Load, writeLoad } from './load.ts';
import { startProbe } from './probe.ts';
import { engineMs, residentMegabytes } from './processor-time.ts';
import type { Stage } from './stage.ts';

export type Figures = Readonly<Record<string, number>>;

/** What one engine does under a load of this rate. */
export async function steady(stage: Stage, engine: Engine, load: Load): Promise<Figures> {
  const { origin, subscriber, folder } = stage;
  const probe = await startProbe(origin.url(), engine.copyUrl);
  const before = await engineMs(engine, origin, subscriber);
  const startedAt = performance.now();
  const written = await writeLoad(origin, folder, load);
  const latency = await probe.stop();
  await untilCaughtUp(stage, engine);
  const drainedMs = performance.now() - startedAt;
  const usedMs = (await engineMs(engine, origin, subscriber)) - before;
  return {
    sourcePerSecond: written.perSecond,
    p50Ms: latency.p50Ms,
    p99Ms: latency.p99Ms,
    cpuMsPerThousand: (usedMs / written.writes) * 1000,
    drainedAfterMs: drainedMs - (load.seconds ?? 0) * 1000,
  };
}

/** How fast each works off what gathered while all were away: one backlog for all, one engine at a time. */
export async function catchUp(
  stage: Stage,
  engines: readonly Engine[],
  load: Load,
): Promise<Map<Engine, Figures>> {
  const figures = new Map<Engine, Figures>();
  try {
    for (const engine of engines) {
      await engine.synchronise();
      await untilCaughtUp(stage, engine);
      await engine.pause();
    }
    const { writes } = await writeLoad(stage.origin, stage.folder, load);
    for (const engine of engines) {
      figures.set(engine, await workOff(stage, engine, writes));
      await engine.remove();
    }
    return figures;
  } finally {
    await Promise.all(engines.map((engine) => engine.remove()));
  }
}

async function workOff(stage: Stage, engine: Engine, writes: number): Promise<Figures> {
  const { origin, subscriber } = stage;
  const before = await engineMs(engine, origin, subscriber);
  const startedAt = performance.now();
  await engine.resume();
  const worker = engine.workers()[0]?.pid;
  const megabytes: number[] = [];
  const watch = setInterval(() => {
    if (worker) megabytes.push(residentMegabytes(worker));
  }, 100);
  await untilCaughtUp(stage, engine);
  clearInterval(watch);
  const tookMs = performance.now() - startedAt;
  const usedMs = (await engineMs(engine, origin, subscriber)) - before;
  return {
    changesPerSecond: (writes / tookMs) * 1000,
    cpuMsPerThousand: (usedMs / writes) * 1000,
    ...(worker && {
      workerMegabytes: Math.max(...megabytes),
      // Flat when the first half of the time needed as much.
      workerMegabytesByHalf: Math.max(...megabytes.slice(0, megabytes.length >> 1)),
    }),
  };
}

/** A copy made anew while readers read it: how long it takes, and what they see. */
export async function resynchronise(engine: Engine, terminals: number): Promise<Figures> {
  let running = true;
  let [longestReadMs, absentMs] = [0, 0];
  const readers = withClient(engine.copyUrl, async (client) => {
    let absentSince: number | null = null;
    while (running) {
      const startedAt = performance.now();
      const { rowCount } = await client.query({
        name: 'read',
        text: 'SELECT terminal_id FROM lastcall.lastcalls_a WHERE terminal_id = ANY ($1)',
        values: [[1, terminals >> 1, terminals]],
      });
      longestReadMs = Math.max(longestReadMs, performance.now() - startedAt);
      if (rowCount === 3) absentSince = null;
      else absentSince ??= startedAt;
      if (absentSince !== null) absentMs = Math.max(absentMs, performance.now() - absentSince);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
  const startedAt = performance.now();
  await engine.synchronise();
  const seconds = (performance.now() - startedAt) / 1000;
  running = false;
  await readers;
  return { seconds, longestReadMs, absentMs };
}

/** Waits until a beat of the origin written now is at the copy: for every engine the same, a row through the WAL. */
export async function untilCaughtUp({ origin }: Stage, engine: Engine): Promise<void> {
  const mark = `mark-${Math.random()}`;
  await execute(
    origin.url(),
    `INSERT INTO lastcall.lastcalls (terminal_id, last_dialed_call, last_dialed_date) VALUES (9000001, '${mark}', clock_timestamp())`,
  );
  await withClient(engine.copyUrl, (client) =>
    until(
      async () =>
        (
          await client.query(
            `SELECT FROM lastcall.lastcalls_a WHERE terminal_id = 9000001 AND last_dialed_call = '${mark}'`,
          )
        ).rowCount === 1,
      `${engine.name} to catch up`,
    ),
  );
}

/** Each engine over the same rows, one after the other: none pays for another. */
export async function inTurn(
  stage: Stage,
  engines: readonly Engine[],
  run: (engine: Engine) => Promise<Figures>,
): Promise<Map<Engine, Figures>> {
  const figures = new Map<Engine, Figures>();
  for (const engine of engines) {
    try {
      await engine.synchronise();
      await untilCaughtUp(stage, engine);
      figures.set(engine, await run(engine));
    } finally {
      await engine.remove();
    }
  }
  return figures;
}

export { fill };
