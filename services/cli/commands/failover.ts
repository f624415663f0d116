import { setTimeout as delay } from 'node:timers/promises';
import { LastcallError } from '../../../shared/domain/errors.ts';
import type { FailoverReport } from '../../../shared/domain/failover.ts';
import { failoverJson, failoverReportJson } from '../../../shared/postgres/directions/failovers.ts';
import { allFailovers, findFailover } from '../all-failovers.ts';
import type { Command, Option, Result } from '../command.ts';
import type { Context } from '../context.ts';
import { failoverReportText, failoverTable } from '../failover-text.ts';
import { requestFailover } from '../request-failover.ts';
import { site, whole } from '../value-forms.ts';

const WAIT: readonly Option[] = [
  { flags: '--wait', description: 'until it has ended; exit status 1 when it failed' },
  {
    flags: '--timeout <seconds>',
    description: 'how long --wait waits',
    default: 600,
    parse: whole(1, 86_400),
  },
];
const SITE = { name: 'SITE', description: 'the site whose database changed', parse: site };

export const failover: Command = {
  name: 'failover',
  changes: true,
  failsInOneLine: true,
  summary: 'after a promotion at SITE: rebuild what must be rebuilt, keeping every row that any site holds',
  arguments: [SITE],
  options: [{ flags: '--reason <text>', description: 'for the report', default: 'operator' }, ...WAIT],
  async run(input, context) {
    const id = await requestFailover(context, {
      site: input.text('SITE'),
      reason: input.text('reason'),
      requestedBy: 'cli',
    });
    return input.flag('wait') ? untilEnded(context, id, input.maybeWhole('timeout') ?? 600) : asked(id);
  },
};

export const heal: Command = {
  name: 'heal',
  changes: true,
  failsInOneLine: true,
  summary:
    'after SITE was restored from a backup: bring back from its peers everything newer before it streams',
  arguments: [SITE],
  options: WAIT,
  async run(input, context) {
    const id = await requestFailover(context, {
      site: input.text('SITE'),
      reason: 'restored',
      requestedBy: 'cli heal',
    });
    return input.flag('wait') ? untilEnded(context, id, input.maybeWhole('timeout') ?? 600) : asked(id);
  },
};

export const failovers: Command = {
  name: 'failovers',
  summary:
    'the latest failovers of every site, or the report of one: every step with its time, counts and salvaged rows',
  arguments: [{ name: 'ID', description: 'as listed', optional: true }],
  async run(input, context) {
    const id = input.maybeText('ID');
    if (id !== null) return reportResult(await report(context, id));
    const { failovers: list, unasked } = await allFailovers(context);
    const missing = Object.entries(unasked).map(
      ([site, reason]) => `\nsite ${site} was not asked: ${reason}`,
    );
    return {
      data: list.map((found) => ({ ...failoverJson(found), writtenAt: found.writtenAt })),
      text: `${failoverTable(list)}${missing.join('')}`,
    };
  },
};

function asked(id: string): Result {
  return { data: { id, accepted: true }, text: `failover ${id} is asked for; see lastcall failovers ${id}` };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

async function report(context: Context, id: string): Promise<FailoverReport> {
  const found = UUID.test(id) ? await findFailover(context, id) : null;
  if (found) return found;
  throw new LastcallError('FAILOVER_NOT_FOUND', { details: { id } });
}

function reportResult(found: FailoverReport): Result {
  const result: Result = { data: failoverReportJson(found), text: failoverReportText(found) };
  if (found.state !== 'failed') return result;
  return {
    ...result,
    complaint: `lastcall: failover ${found.id} failed: ${found.error ?? 'no reason given'}`,
    exit: 1,
  };
}

async function untilEnded(context: Context, id: string, timeoutSeconds: number): Promise<Result> {
  const deadline = performance.now() + timeoutSeconds * 1000;
  while (performance.now() < deadline) {
    const found = await report(context, id).catch(() => null);
    if (found && found.state !== 'running') return reportResult(found);
    await delay(250, undefined, { signal: context.signal });
  }
  return {
    data: { id, ended: false },
    text: '',
    complaint: `lastcall: failover ${id} has not ended within ${timeoutSeconds} s; it goes on`,
    exit: 1,
  };
}
