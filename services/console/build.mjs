// Puts the console together in dist/services/console: one script with sip.js, Preact and uPlot in it, one style sheet, the
// page; and the page of the REST API beside it.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const SOURCES = dirname(fileURLToPath(import.meta.url));
const ROOT = join(SOURCES, '..', '..');
const TARGET = join(ROOT, 'dist', 'services', 'console');

/** A page's script with everything in it. */
async function bundle(source, name) {
  const bundled = await rolldown({
    input: join(SOURCES, source),
    platform: 'browser',
    tsconfig: join(SOURCES, 'tsconfig.json'),
  });
  await bundled.write({
    file: join(TARGET, name),
    format: 'esm',
    minify: true,
    comments: { legal: true, annotation: false, jsdoc: false },
  });
  await bundled.close();
}

mkdirSync(TARGET, { recursive: true });
await bundle('main.tsx', 'console.js');
await bundle('reference/main.tsx', 'reference.js');
const styles = [
  join(ROOT, 'node_modules', 'uplot', 'dist', 'uPlot.min.css'),
  join(SOURCES, 'console.css'),
  join(SOURCES, 'parts.css'),
];
writeFileSync(join(TARGET, 'console.css'), styles.map((file) => readFileSync(file, 'utf8')).join('\n'));
for (const file of ['index.html', 'reference.html', 'icon.svg'])
  copyFileSync(join(SOURCES, file), join(TARGET, file));
