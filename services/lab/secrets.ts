import { createHmac, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeAtomically } from './write-atomically.ts';

/** Made once for a data folder and kept, so that a second start reaches its databases. */
export type LabSecrets = {
  /** PostgreSQL passwords by role; every site uses the same, since roles belong to a cluster and sites may share one. */
  postgres: {
    superuser: string;
    app: string;
    replicator: string;
    coordinator: string;
    peer: string;
    repmgr: string;
  };
  /** Redis's password; every site's. */
  redis: string;
  tokens: { read: string; record: string; admin: string };
  /** The passwords of the terminals are derived from it. */
  terminalKey: string;
  /** The sites prove themselves to each other with it. */
  siteKey: string;
  /** How many terminals each database got so far: one that was removed stays removed at the next start. */
  provisioned: Record<string, number>;
};

export async function loadSecrets(file: string): Promise<LabSecrets> {
  try {
    const stored = JSON.parse(await readFile(file, 'utf8')) as Partial<LabSecrets>;
    const made = makeSecrets();
    const secrets = { ...made, ...stored, postgres: { ...made.postgres, ...stored.postgres } };
    // A secret that an older lab did not have.
    if (JSON.stringify(stored) !== JSON.stringify(secrets)) await saveSecrets(file, secrets);
    return secrets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new Error(`${file} cannot be read`, { cause: error });
  }
  const secrets = makeSecrets();
  await saveSecrets(file, secrets);
  return secrets;
}

export const saveSecrets = (file: string, secrets: LabSecrets): Promise<void> =>
  writeAtomically(file, `${JSON.stringify(secrets, null, 2)}\n`);

function makeSecrets(): LabSecrets {
  const secret = (): string => randomBytes(18).toString('base64url');
  return {
    postgres: {
      superuser: secret(),
      app: secret(),
      replicator: secret(),
      coordinator: secret(),
      peer: secret(),
      repmgr: secret(),
    },
    redis: secret(),
    tokens: { read: secret(), record: secret(), admin: secret() },
    terminalKey: secret(),
    siteKey: randomBytes(24).toString('base64url'),
    provisioned: {},
  };
}

/** Twelve characters that can be typed into a softphone. */
export function terminalPassword(key: string, username: string): string {
  return createHmac('sha256', key).update(username).digest('hex').slice(0, 12);
}
