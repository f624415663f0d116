import type { Alerts } from '../../shared/domain/alert.ts';
import type { DirectionStatus } from '../../shared/domain/direction-state.ts';
import type { Failover } from '../../shared/domain/failover.ts';
import type { Context } from './context.ts';
import { directionTable, isWell } from './direction-table.ts';
import type { LagHistory } from './lag-history.ts';
import { noticeSubject } from './notice-subject.ts';
import { momentText } from './table.ts';

const CLEAR = '\u001b[2J\u001b[H';
const [GREEN, RED, PLAIN] = ['\u001b[32m', '\u001b[31m', '\u001b[0m'];
const WIDTH = 80;
const INDENT = ' '.repeat('direction  '.length);

/** What the api knows beside the directions; null where it does not answer. */
interface Beside {
  readonly site: string;
  readonly parts: Readonly<Record<string, { readonly state: string; readonly reason?: string }>> | null;
  readonly failover: Failover<string> | null;
  readonly alerts: Alerts | null;
}

/** For who looks: what is not well in red, unless NO_COLOR is set (no-color.org); at most 80 columns when all is well. */
export async function liveScreen(
  directions: readonly DirectionStatus[],
  seen: LagHistory,
  context: Context,
): Promise<string> {
  const paint = context.env['NO_COLOR']
    ? (text: string) => text
    : (text: string, well: boolean) => `${well ? GREEN : RED}${text}${PLAIN}`;
  const [head = '', ...lines] = directionTable(directions).split('\n');
  const drawn = directions.flatMap((direction, index) => [
    paint(lines[index] ?? '', isWell(direction)),
    `${INDENT}${seen.sparkline(direction)}`.trimEnd(),
  ]);
  const beside = besideLines(await readBeside(context)).map(({ text, well }) => paint(text, well));
  const at = `${new Date().toISOString().slice(0, 19)}Z`;
  return `${CLEAR}${[at, head, ...drawn, '', ...beside].join('\n')}\n`;
}

async function readBeside(context: Context): Promise<Beside> {
  const api = context.api();
  const [ready, listed, alerts] = await Promise.all([
    api.get<{ checks: Beside['parts'] }>('/readyz').catch(() => null),
    api.get<{ failovers: Failover<string>[] }>('/v1/failovers?limit=1').catch(() => null),
    api.get<Alerts>('/v1/alerts').catch(() => null),
  ]);
  const { site } = context.config().config;
  return { site, parts: ready?.checks ?? null, failover: listed?.failovers[0] ?? null, alerts };
}

function besideLines({ alerts, failover, parts, site }: Beside): { text: string; well: boolean }[] {
  const lines = [partsLine(site, parts)];
  if (failover) {
    const { endedAt, reason, requestedAt, salvagedRows, state } = failover;
    const when = momentText(endedAt ?? requestedAt);
    const text = `failover   site ${failover.site} ${state} ${when}, ${salvagedRows} rows salvaged: ${reason}`;
    lines.push({ text: text.slice(0, WIDTH), well: state !== 'failed' });
  }
  for (const notice of alerts?.open ?? []) {
    const since = momentText(notice.since)?.slice(11) ?? '';
    const text = `trouble    ${notice.event} ${noticeSubject(notice)} since ${since}`;
    lines.push({ text, well: false });
  }
  return lines;
}

function partsLine(site: string, parts: Beside['parts']): { text: string; well: boolean } {
  if (parts === null)
    return { text: `site ${site}     the api does not answer, or is not ready`, well: false };
  const states = Object.entries(parts).map(
    ([name, { reason, state }]) => `${name} ${state}${reason ? ` (${reason})` : ''}`,
  );
  const well = Object.values(parts).every(({ state }) => state === 'up');
  return { text: `site ${site}     ${states.join(', ')}`, well };
}
