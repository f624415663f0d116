import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ConsoleFile {
  readonly type: string;
  readonly content: Buffer;
  /** Quoted, as RFC 9110 8.8.3 wants it. */
  readonly etag: string;
}

const TYPES = {
  'index.html': 'text/html; charset=utf-8',
  'console.js': 'text/javascript; charset=utf-8',
  'reference.html': 'text/html; charset=utf-8',
  'reference.js': 'text/javascript; charset=utf-8',
  'console.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
} as const;

/** The built console by file name, held in memory; empty when this checkout was not built. */
export function readConsoleFiles(folder: string): ReadonlyMap<string, ConsoleFile> {
  try {
    return new Map(
      Object.entries(TYPES).map(([name, type]) => {
        const content = readFileSync(join(folder, name));
        const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;
        return [name, { type, content, etag }] as const;
      }),
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw error;
  }
}
