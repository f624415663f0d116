import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type ConfigKey, describeConfig } from '../../../shared/runtime/describe-config.ts';
import { packageRoot } from '../../../shared/runtime/package-root.ts';

// After a change of the schema: npx vitest run test/unit/runtime/configuration-page.test.ts -u
it('docs/configuration.md says of every key what the schema says', async () => {
  const chapters = describeConfig().map(
    ({ title, description, keys }) => `## ${title}

${description}.

| key | meaning | accepted | default | environment |
|---|---|---|---|---|
${keys.map(row).join('\n')}
`,
  );
  const page = `# Configuration

One YAML file a site serves all its processes: \`--config FILE\` or \`LASTCALL_CONFIG\`. Each key can also come from the
environment, which wins. \`lastcall config check FILE\` reports every fault at once; \`lastcall config show\` prints what is in
effect, without secrets. A test keeps this page and \`shared/runtime/config-schema.ts\` the same.

${chapters.join('\n')}`;
  await expect(page).toMatchFileSnapshot(join(packageRoot(), 'docs/configuration.md'));
});

function row({ path, description, expected, preset, environment }: ConfigKey): string {
  const cells = [
    `\`${path}\``,
    description,
    expected,
    preset === null ? '**required**' : `\`${preset}\``,
    `\`${environment}\``,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
