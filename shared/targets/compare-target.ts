import { setTimeout as delay } from 'node:timers/promises';
import { readKinds } from '../postgres/kinds/kind.ts';
import { connectToPrimary } from '../postgres/replication/primary.ts';
import { openSink } from './open-sink.ts';
import { reconcile, stillDiffering } from './reconcile.ts';

export interface TargetTableComparison {
  readonly table: string;
  readonly rows: number;
  readonly differing: number;
  /** The first hundred. */
  readonly differingKeys: readonly string[];
}

export interface CompareTargetOptions {
  /** This site's database as lastcall_replicator. */
  readonly sourceUrl: string;
  readonly targetUrl: string;
  readonly kinds: readonly string[];
  readonly signal?: AbortSignal;
}

const LOOKS = 10;
const LOOK_PAUSE_MS = 500;
const KEYS_SHOWN = 100;

/** Compares while changes flow: a key counts as differing only when it does so at every look, seconds apart. */
export async function compareTarget(options: CompareTargetOptions): Promise<TargetTableComparison[]> {
  const source = await connectToPrimary(options.sourceUrl, { applicationName: 'lastcall-compare-target' });
  try {
    const sink = await openSink(options.targetUrl);
    try {
      const compared: TargetTableComparison[] = [];
      const kinds = (await readKinds(source)).filter(({ kind }) => options.kinds.includes(kind));
      for (const kind of kinds) {
        const ends = { source, sink, kind, ...(options.signal && { signal: options.signal }) };
        await source.simple('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
        const { rows, keys, count } = await reconcile({ ...ends, write: false });
        await source.simple('COMMIT');
        let left = [...new Set(keys)];
        for (let look = 0; look < LOOKS && left.length > 0; look++) {
          await delay(LOOK_PAUSE_MS, undefined, { signal: options.signal });
          left = await stillDiffering(ends, left);
        }
        const differing = left.length === 0 ? 0 : Math.max(left.length, count - keys.length);
        compared.push({ table: kind.kind, rows, differing, differingKeys: left.slice(0, KEYS_SHOWN) });
      }
      return compared;
    } finally {
      await sink.close();
    }
  } finally {
    await source.close();
  }
}
