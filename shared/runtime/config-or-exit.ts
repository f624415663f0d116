import { type Config, ConfigError, loadConfig } from './config.ts';

/** A process's configuration; a faulty one ends the process with every fault on standard error, a line each. */
export function configOrExit(file: string | undefined): Config {
  return builtOrExit(() => loadConfig({ file }));
}

/** What is built from the configuration, ending the process likewise: a certificate that cannot be read, say. */
export function builtOrExit<T>(build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(
      `The configuration is not valid:\n${error.faults.map(({ path, fault }) => `  ${path}: ${fault}\n`).join('')}`,
    );
    process.exit(1);
  }
}
