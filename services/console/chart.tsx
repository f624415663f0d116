import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { directionText } from './formats.ts';
import type { Series } from './series.ts';

interface ChartProps {
  readonly title: string;
  readonly series: ReadonlyMap<string, Series>;
  readonly pick: 'lagMs' | 'rowsPerSecond';
  /** For the axis: `12 ms`. */
  readonly unit: (value: number) => string;
  /** Said to whoever cannot see it. */
  readonly summary: string;
}

const HEIGHT = 180;
const WINDOW_SECONDS = 300;

/** The last five minutes, one line a direction. */
export function Chart({ pick, series, summary, title, unit }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const labels = [...series.keys()];
  const lines = labels.join(' ');

  useEffect(() => {
    const element = place.current;
    if (!element || labels.length === 0) return;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(options(element, labels, unit), dataOf(series, pick), element);
    };
    const resize = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    const theme = matchMedia('(prefers-color-scheme: dark)');
    draw();
    resize.observe(element);
    theme.addEventListener('change', draw);
    return () => {
      resize.disconnect();
      theme.removeEventListener('change', draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [lines]);
  useEffect(() => {
    plot.current?.setData(dataOf(series, pick));
  });

  return (
    <figure class="card chart">
      <figcaption>
        <h2>{title}</h2>
        <ul class="legend">
          {labels.map((label, index) => (
            <li key={label} class={`line-${index % LINES}`}>
              {directionText(label)}
            </li>
          ))}
        </ul>
      </figcaption>
      <div ref={place} role="img" aria-label={summary} />
    </figure>
  );
}

const LINES = 6;

function options(element: HTMLElement, labels: readonly string[], unit: (value: number) => string) {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
    font: `12px ${style.fontFamily}`,
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: {
        range: (_plot: uPlot, _min: number, max: number): [number, number] => [max - WINDOW_SECONDS, max],
      },
      y: { range: (_plot: uPlot, _min: number, max: number): [number, number] => [0, roundUp(max)] },
    },
    axes: [
      { ...axis, space: 90, values: (_plot: uPlot, ticks: number[]) => ticks.map(timeOfDay) },
      { ...axis, size: 70, values: (_plot: uPlot, ticks: number[]) => ticks.map((tick) => unit(tick)) },
    ],
    series: [
      {},
      ...labels.map((label, index) => ({
        label,
        stroke: colour(`--line-${index % LINES}`),
        width: 2,
        dash: DASHES[index % DASHES.length] ?? [],
        points: { show: false },
      })),
    ],
  } as unknown as uPlot.Options;
}

/** Lines that lie on each other stay visible, also without colours. */
const DASHES = [[], [8, 5], [2, 4]];

const timeOfDay = (seconds: number): string => new Date(seconds * 1000).toLocaleTimeString('en-GB');

function roundUp(max: number | null): number {
  if (!max || max < 10) return 10;
  const step = 10 ** Math.floor(Math.log10(max));
  return Math.ceil(max / step) * step;
}

function dataOf(series: ReadonlyMap<string, Series>, pick: ChartProps['pick']): uPlot.AlignedData {
  const tables = [...series.values()].map((each) => [each.at, each[pick]] as unknown as uPlot.AlignedData);
  return tables.length === 0 ? [[]] : uPlot.join(tables);
}
