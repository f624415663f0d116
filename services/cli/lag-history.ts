import type { DirectionStatus } from '../../shared/domain/direction-state.ts';

const KEPT = 60;
const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** The lag of each direction, look by look. */
export class LagHistory {
  readonly #lags = new Map<string, (number | null)[]>();

  add(directions: readonly DirectionStatus[]): void {
    for (const direction of directions) {
      const lags = this.#lags.get(key(direction)) ?? [];
      lags.push(direction.lagMs);
      this.#lags.set(key(direction), lags.slice(-KEPT));
    }
  }

  /** Scaled to its own highest; a look that knew none is a blank. */
  sparkline(direction: Pick<DirectionStatus, 'from' | 'to'>): string {
    const lags = this.#lags.get(key(direction)) ?? [];
    const highest = Math.max(1, ...lags.map((lag) => lag ?? 0));
    return lags
      .map((lag) =>
        lag === null ? ' ' : BARS[Math.min(BARS.length - 1, Math.floor((lag / highest) * BARS.length))],
      )
      .join('');
  }
}

const key = ({ from, to }: Pick<DirectionStatus, 'from' | 'to'>): string => `${from} ${to}`;
