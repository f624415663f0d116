import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ERRORS } from '../../shared/domain/errors.ts';
import { packageRoot } from '../../shared/runtime/package-root.ts';

// After a change of the catalogue: npx vitest run test/unit/errors.test.ts -u
it('docs/errors.md says of every error what the catalogue says', async () => {
  const rows = Object.entries(ERRORS).map(
    ([code, { httpStatus, title, remedy }]) => `| \`${code}\` | ${httpStatus} | ${title} | ${remedy} |`,
  );
  const page = `# Errors

Every error that the command line, REST and the logs show by its code. A test keeps this page and
\`shared/domain/errors.ts\` the same.

| code | HTTP status | what it means | what to do |
|---|---|---|---|
${rows.join('\n')}
`;
  await expect(page).toMatchFileSnapshot(join(packageRoot(), 'docs/errors.md'));
});
