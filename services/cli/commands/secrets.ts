import { formatTimestamptz } from '../../../shared/domain/micros.ts';
import { SITE_SECRETS, type SiteSecretName } from '../../../shared/domain/site-secret.ts';
import { listSecrets, rotateSecrets, type SecretAge } from '../../../shared/postgres/secrets.ts';
import type { Command } from '../command.ts';
import { table } from '../table.ts';
import { oneOf } from '../value-forms.ts';

export const secretsList: Command = {
  name: 'secrets list',
  summary: "what this site's call-controls sign with, and since when; never the values",
  async run(_input, context) {
    const secrets = await listSecrets(await context.database());
    return { data: secrets.map(asJson), text: ages(secrets) };
  },
};

export const secretsRotate: Command = {
  name: 'secrets rotate',
  changes: true,
  summary:
    "give this site's call-controls a new signing secret; the one before stays accepted until the next time",
  arguments: [
    {
      name: 'NAME',
      description: `${SITE_SECRETS.join(', ')}; all of them unless given`,
      optional: true,
      parse: oneOf(...SITE_SECRETS),
    },
  ],
  examples: ['lastcall secrets rotate', 'lastcall secrets rotate dialogs'],
  async run(input, context) {
    const name = input.maybeText('NAME') as SiteSecretName | null;
    const database = await context.database('owner');
    const rotated = await rotateSecrets(database, name === null ? SITE_SECRETS : [name]);
    const next = 'running processes take it within a minute';
    return { data: rotated.map(asJson), text: `${ages(rotated)}\n${next}` };
  },
};

const asJson = ({ name, rotatedAt, hasPrevious }: SecretAge) => ({
  name,
  rotatedAt: formatTimestamptz(rotatedAt),
  hasPrevious,
});

function ages(secrets: readonly SecretAge[]): string {
  return table(
    ['secret', 'since', 'previous accepted'],
    secrets.map(({ name, rotatedAt, hasPrevious }) => [name, formatTimestamptz(rotatedAt), hasPrevious]),
  );
}
