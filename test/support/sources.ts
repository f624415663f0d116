import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { packageRoot } from '../../shared/runtime/package-root.ts';

/** A TypeScript file of this repository: its path from the root and what it imports, as written. */
export type SourceFile = { path: string; text: string; imports: string[] };

const IMPORT = /(?:^|[^\w.'"`])(?:from|import)\s*\(?\s*'([^'\n]+)'/g;

/** Every TypeScript file below these folders of the repository. */
export function readSources(...folders: string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(packageRoot(), folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name) && !name.includes('node_modules'))
      .map((name) => {
        const path = posix.join(folder, name);
        const text = readFileSync(join(packageRoot(), path), 'utf8');
        return { path, text, imports: importsOf(text) };
      }),
  );
}

export function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  return [...code.matchAll(IMPORT)].map((match) => match[1] as string);
}

/** Where a relative import leads, from the root; `null` for a package or a `node:` module. */
export function importedPath(file: SourceFile, specifier: string): string | null {
  return specifier.startsWith('.') ? posix.join(posix.dirname(file.path), specifier) : null;
}
