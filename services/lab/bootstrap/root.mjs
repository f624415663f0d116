import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** What stands in the way of the user, said without a stack trace. */
export class Obstacle extends Error {}
