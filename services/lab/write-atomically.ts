import { open, rename } from 'node:fs/promises';

/** Writes a file that only this user may read; whoever reads it meanwhile gets the old one or the new one whole. */
export async function writeAtomically(file: string, text: string): Promise<void> {
  const partial = `${file}.${process.pid}.partial`;
  const handle = await open(partial, 'w', 0o600);
  try {
    await handle.writeFile(text);
  } finally {
    await handle.close();
  }
  await rename(partial, file);
}
