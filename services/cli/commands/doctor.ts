import type { Command, ExitStatus } from '../command.ts';
import { checks, failure } from '../doctor/checks.ts';
import type { Finding } from '../doctor/finding.ts';
import { localChecks } from '../doctor/local-checks.ts';

export const doctor: Command = {
  name: 'doctor',
  summary:
    'look for what will cause trouble later: settings, grants, peers, clocks, certificates, secrets, backups; exit status 3 with warnings',
  async run(_input, context) {
    // Without a configuration there is nothing to examine.
    context.config();
    const findings = (
      await Promise.all(
        [...checks, ...localChecks].map((check) =>
          check.run(context).catch((error: unknown) => [failure(check.name, error)]),
        ),
      )
    ).flat();
    return { data: { findings }, text: findings.map(findingText).join('\n'), exit: exitOf(findings) };
  },
};

function exitOf(findings: readonly Finding[]): ExitStatus {
  if (findings.some((finding) => finding.state === 'fail')) return 1;
  return findings.some((finding) => finding.state === 'warn') ? 3 : 0;
}

function findingText({ check, state, detail, remedy }: Finding): string {
  const line = `${state.padEnd(5)}${check}: ${detail}`;
  return remedy ? `${line}\n       ${remedy}` : line;
}
