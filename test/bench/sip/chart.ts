import type { Row } from './report.ts';

const PLOT = { left: 60, top: 50, width: 640, height: 300 };
/** Milliseconds at the bottom and the top; the axis is logarithmic. */
const DELAY = { least: 0.1, most: 1_000 };
const COLOURS: Readonly<Record<string, string>> = { lastcall: '#2a7', kamailio: '#36c' };

interface Point {
  readonly rate: number;
  readonly ms: number;
  readonly clean: boolean;
}

/** Post-dial delay of *52 against the rate, a line each for the median and the 99th percentile of each contender; hollow: not clean. */
export function chart(rows: readonly Row[]): string {
  const ofStarCode = rows.filter(({ dialed }) => dialed === '*52');
  const most = Math.max(1, ...ofStarCode.map(({ rate }) => rate));
  const contenders = [...new Set(ofStarCode.map(({ contender }) => contender))];
  const lines = contenders.flatMap((contender, index) => {
    const own = ofStarCode.filter((row) => row.contender === contender);
    const colour = COLOURS[contender] ?? '#888';
    const legend = `<text x="${PLOT.left + 10 + index * 260}" y="40" fill="${colour}">${contender}: median solid, 99 % dashed</text>`;
    return [
      legend,
      line(points(own, 'postDialP50Ms'), most, colour, false),
      line(points(own, 'postDialP99Ms'), most, colour, true),
    ];
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="760" height="400" font-family="sans-serif" font-size="12">
<title>Post-dial delay of *52 against the rate</title>
<rect width="100%" height="100%" fill="white"/>
<text x="8" y="20" font-size="15">Post-dial delay of *52 in ms (logarithmic) against calls a second; hollow: not clean</text>
${grid(most)}
${lines.join('\n')}
</svg>
`;
}

/** One point a rate: the median of its rounds. */
function points(rows: readonly Row[], figure: 'postDialP50Ms' | 'postDialP99Ms'): Point[] {
  const rates = [...new Set(rows.map(({ rate }) => rate))].sort((a, b) => a - b);
  return rates.map((rate) => {
    const all = rows.filter((row) => row.rate === rate);
    const sorted = all.map(({ figures }) => figures[figure]).sort((a, b) => a - b);
    return { rate, ms: sorted[sorted.length >> 1] ?? 0, clean: all.some(({ figures }) => figures.clean) };
  });
}

function line(all: readonly Point[], most: number, colour: string, dashed: boolean): string {
  const at = all.map(({ rate, ms }) => `${x(rate, most)},${y(ms)}`).join(' ');
  const dots = all.map(
    ({ rate, ms, clean }) =>
      `<circle cx="${x(rate, most)}" cy="${y(ms)}" r="3.5" fill="${clean ? colour : 'white'}" stroke="${colour}"/>`,
  );
  return `<polyline points="${at}" fill="none" stroke="${colour}" stroke-width="2"${dashed ? ' stroke-dasharray="5 4"' : ''}/>
${dots.join('\n')}`;
}

function grid(most: number): string {
  const bottom = PLOT.top + PLOT.height;
  const horizontal = [0.1, 1, 10, 100, 1_000].map(
    (
      ms,
    ) => `<line x1="${PLOT.left}" y1="${y(ms)}" x2="${PLOT.left + PLOT.width}" y2="${y(ms)}" stroke="#ddd"/>
<text x="${PLOT.left - 8}" y="${y(ms) + 4}" text-anchor="end">${ms}</text>`,
  );
  const rates = Array.from({ length: Math.floor(most / 500) }, (_, index) => (index + 1) * 500);
  const vertical = rates.map(
    (rate) => `<text x="${x(rate, most)}" y="${bottom + 18}" text-anchor="middle">${rate}</text>`,
  );
  return [...horizontal, ...vertical].join('\n');
}

const x = (rate: number, most: number): number => Math.round(PLOT.left + (rate / most) * PLOT.width);

function y(ms: number): number {
  const bounded = Math.min(DELAY.most, Math.max(DELAY.least, ms));
  const share = Math.log(bounded / DELAY.least) / Math.log(DELAY.most / DELAY.least);
  return Math.round(PLOT.top + (1 - share) * PLOT.height);
}
