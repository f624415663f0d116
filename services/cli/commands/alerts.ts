import type { Alerts, Notice } from '../../../shared/domain/alert.ts';
import type { Command } from '../command.ts';
import { noticeSubject } from '../notice-subject.ts';
import { momentText, table } from '../table.ts';
import { whole } from '../value-forms.ts';

const SHOWN = 20;

export const alerts: Command = {
  name: 'alerts',
  summary: "what this site's coordinator reports: troubles that last, and its latest notices",
  options: [
    { flags: '--limit <n>', description: 'at most so many notices', default: SHOWN, parse: whole(1, 200) },
  ],
  examples: ['lastcall alerts', 'lastcall alerts --limit 200 --json'],
  async run(input, context) {
    const { open, recent } = await context.api().get<Alerts>('/v1/alerts');
    const shown = recent.slice(0, input.maybeWhole('limit') ?? SHOWN);
    return {
      data: { open, recent: shown },
      text: [openText(open), recentText(shown)].filter((part) => part !== '').join('\n\n'),
      exit: open.length === 0 ? 0 : 3,
    };
  },
};

function openText(open: readonly Notice[]): string {
  if (open.length === 0) return 'nothing is wrong';
  const rows = open.map((notice) => [
    notice.event,
    noticeSubject(notice),
    momentText(notice.since),
    notice.reason,
  ]);
  return table(['trouble', 'about', 'since', 'reason'], rows);
}

function recentText(recent: readonly Notice[]): string {
  const rows = recent.map((notice) => [
    momentText(notice.at),
    notice.phase,
    notice.event,
    noticeSubject(notice),
    notice.reason,
  ]);
  return rows.length === 0 ? '' : table(['at', 'phase', 'event', 'about', 'reason'], rows);
}
