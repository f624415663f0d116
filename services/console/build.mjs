// Puts the console together in dist/services/console: one script with sip.js, Preact and uPlot in it, one style sheet, the page.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const SOURCES = dirname(fileURLToPath(import.meta.url));
const ROOT = join(SOURCES, '..', '..');
const TARGET = join(ROOT, 'dist', 'services', 'console');

const bundle = await rolldown({
  input: join(SOURCES, 'main.tsx'),
  platform: 'browser',
  tsconfig: join(SOURCES, 'tsconfig.json'),
});
mkdirSync(TARGET, { recursive: true });
await bundle.write({
  file: join(TARGET, 'console.js'),
  format: 'esm',
  minify: true,
  comments: { legal: true, annotation: false, jsdoc: false },
});
await bundle.close();
const styles = [
  join(ROOT, 'node_modules', 'uplot', 'dist', 'uPlot.min.css'),
  join(SOURCES, 'console.css'),
  join(SOURCES, 'parts.css'),
];
writeFileSync(join(TARGET, 'console.css'), styles.map((file) => readFileSync(file, 'utf8')).join('\n'));
for (const file of ['index.html', 'icon.svg']) copyFileSync(join(SOURCES, file), join(TARGET, file));
