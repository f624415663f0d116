import { type Config, ConfigError, loadConfig } from './config.ts';

/** A process's configuration; a faulty one ends the process with every fault on standard error, a line each. */
export function configOrExit(file: string | undefined): Config {
  try {
    return loadConfig({ file });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(
      `The configuration is not valid:\n${error.faults.map(({ path, fault }) => `  ${path}: ${fault}\n`).join('')}`,
    );
    process.exit(1);
  }
}
