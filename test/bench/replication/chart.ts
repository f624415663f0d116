import type { Comparison } from './report.ts';

const BAR = { width: 360, height: 14, left: 330, gap: 26 };

/** Ours to native, one bar a figure; the line is native. Where more is better the bar is the inverse, so left of the line is better. */
export function chart(comparisons: readonly Comparison[]): string {
  const shown = comparisons.filter(
    ({ ratio, figure }) => ratio !== null && figure !== 'sourcePerSecond' && figure !== 'drainedAfterMs',
  );
  const height = 50 + shown.length * BAR.gap;
  const bars = shown.map(({ scenario, figure, medians, ratio }, i) => {
    const inverse = figure === 'changesPerSecond';
    const share = Math.min(2, inverse ? 1 / (ratio ?? 1) : (ratio ?? 1));
    const y = 40 + i * BAR.gap;
    return `<text x="8" y="${y + 11}">${scenario}: ${figure}</text>
<rect x="${BAR.left}" y="${y}" width="${(share * BAR.width) / 2}" height="${BAR.height}" fill="${share <= 1 ? '#2a7' : '#c73'}"/>
<text x="${BAR.left + BAR.width + 10}" y="${y + 11}">${medians['lastcall']?.toFixed(1)} : ${medians['native']?.toFixed(1)}</text>`;
  });
  const line = BAR.left + BAR.width / 2;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="860" height="${height}" font-family="sans-serif" font-size="12">
<title>Lastcall against native logical replication</title>
<rect width="100%" height="100%" fill="white"/>
<text x="8" y="20" font-size="15">Lastcall against native logical replication (line: native; left of it is better; lastcall : native)</text>
${bars.join('\n')}
<line x1="${line}" y1="30" x2="${line}" y2="${height - 8}" stroke="black" stroke-dasharray="4 3"/>
</svg>
`;
}
