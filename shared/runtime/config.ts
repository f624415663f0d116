import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { type Environment, mistypedVariables } from './config-environment.ts';
import { type ConfigFault, ConfigReader } from './config-reader.ts';
import { contradictions } from './config-rules.ts';
import { CONFIG_SCHEMA, type Config } from './config-schema.ts';
import { knownSecrets } from './known-secrets.ts';
import { unreadableFiles } from './url-files.ts';

export { type Environment, environmentName } from './config-environment.ts';
export type { ConfigFault } from './config-reader.ts';
export type { Config } from './config-schema.ts';

/** Every fault of a configuration at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    super(`configuration: ${faults.map(({ path, fault }) => `${path}: ${fault}`).join('; ')}`);
    this.faults = faults;
  }
}

export interface ConfigSource {
  /** YAML file; absent: LASTCALL_CONFIG, or the environment alone. */
  readonly file?: string | undefined;
  readonly env?: Environment;
}

/** The frozen configuration. Throws {@link ConfigError} with all faults together. */
export function loadConfig({ file, env = process.env }: ConfigSource): Config {
  const path = configPath(file, env);
  const config = parseConfig(path === undefined ? '' : readConfigFile(path), env, path);
  const faults = unreadableFiles(config);
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

/** The file that {@link loadConfig} reads, if any. */
export function configPath(file: string | undefined, env: Environment = process.env): string | undefined {
  return file ?? env['LASTCALL_CONFIG'];
}

/** As {@link loadConfig}, from text. */
export function parseConfig(yaml: string, env: Environment = {}, file = 'configuration'): Config {
  const reader = new ConfigReader(env);
  const value = reader.read(CONFIG_SCHEMA, parseYaml(yaml, file));
  const mistyped = mistypedVariables(CONFIG_SCHEMA.fields, env).map(({ name, meant }) => ({
    path: name,
    fault: `unknown variable; did you mean ${meant}?`,
  }));
  const faults = [...reader.faults, ...mistyped];
  if (faults.length > 0) throw new ConfigError(faults);
  const config = value as Config;
  const disagreeing = [...contradictions(config), ...knownSecrets(config)];
  if (disagreeing.length > 0) throw new ConfigError(disagreeing);
  return config;
}

function parseYaml(yaml: string, file: string): unknown {
  const lines = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: lines, prettyErrors: false });
  const faults = document.errors.map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    return { path: `${file}:${line}:${col}`, fault: error.message };
  });
  if (faults.length > 0) throw new ConfigError(faults);
  try {
    return document.toJS() ?? {};
  } catch (error) {
    // Aliases that point nowhere or multiply without end show only here.
    throw new ConfigError([{ path: file, fault: error instanceof Error ? error.message : String(error) }]);
  }
}

function readConfigFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : String(cause);
    throw new ConfigError([
      { path, fault: `${reason}; name the site's YAML file with --config or LASTCALL_CONFIG` },
    ]);
  }
}
