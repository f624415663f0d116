import { resolve } from 'node:path';
import { stringify } from 'yaml';
import { loadConfig } from '../../../shared/runtime/config.ts';
import { redactConfig } from '../../../shared/runtime/redact-config.ts';
import type { Command } from '../command.ts';

export const configCheck: Command = {
  name: 'config check',
  summary: 'report every fault of a configuration at once',
  arguments: [{ name: 'FILE', description: 'the YAML file' }],
  async run(input, context) {
    const file = resolve(input.text('FILE'));
    const { site, peers } = loadConfig({ file, env: context.env });
    return {
      data: { file, ok: true, site, peers: Object.keys(peers) },
      text: `${file}: ok (site ${site}, peers ${Object.keys(peers).join(', ') || 'none'})`,
    };
  },
};

export const configShow: Command = {
  name: 'config show',
  summary: 'print the configuration in effect, defaults and environment included, secrets left out',
  async run(_input, context) {
    const { config, file } = context.config();
    const shown = redactConfig(config);
    return { data: shown, text: `# ${file}\n${stringify(shown).trimEnd()}` };
  },
};
