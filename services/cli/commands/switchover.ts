import { LastcallError } from '../../../shared/domain/errors.ts';
import type { Command } from '../command.ts';
import { requestFailover } from '../request-failover.ts';
import { pauseBouncers, resumeBouncers } from '../switchover/pgbouncer.ts';
import { checkTarget, runSwitchoverCommand, untilPrimary } from '../switchover/steps.ts';
import { site, whole } from '../value-forms.ts';

export const switchover: Command = {
  name: 'switchover',
  changes: true,
  failsInOneLine: true,
  summary:
    "planned change of SITE's primary: PgBouncer PAUSE, the HA tool's own command, RESUME; run it at SITE",
  arguments: [{ name: 'SITE', description: 'this site', parse: site }],
  options: [
    { flags: '--to <host>', description: 'host or host:port of the standby that takes over', required: true },
    {
      flags: '--timeout <seconds>',
      description: 'how long the new primary may take',
      default: 60,
      parse: whole(1, 3600),
    },
  ],
  async run(input, context) {
    const { config } = context.config();
    const to = input.text('to');
    if (input.text('SITE') !== config.site) {
      throw new LastcallError('INVALID_VALUE', {
        details: {
          message: `a switchover is run at its own site; this configuration is of site ${config.site}`,
        },
      });
    }
    const command = config.coordinator.switchoverCommand;
    if (command === null) {
      throw new LastcallError('INVALID_VALUE', {
        details: { message: 'switchover needs coordinator.switchoverCommand' },
      });
    }
    const started = performance.now();
    await checkTarget(config.postgres.url, to);
    await pauseBouncers(config.coordinator.pgbouncerUrls);
    try {
      await runSwitchoverCommand(command, to, context.env);
      await untilPrimary(config.postgres.url, to, (input.maybeWhole('timeout') ?? 60) * 1000);
    } finally {
      await resumeBouncers(config.coordinator.pgbouncerUrls);
    }
    const pausedMs = Math.round(performance.now() - started);
    const id = await requestFailover(context, {
      site: config.site,
      reason: 'switchover',
      requestedBy: 'cli switchover',
    });
    return {
      data: { site: config.site, primary: to, pausedMs, failover: id },
      text: `${to} is the primary of site ${config.site} after ${pausedMs} ms; failover ${id} checks replication`,
    };
  },
};
