import { chmodSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makePrivateFolder } from '../../../services/lab/private-folder.ts';

const others = (folder: string) => statSync(folder).mode & 0o007;

test("a lab's folder is closed to others, also one that an older lab left open", async () => {
  const parent = mkdtempSync(join(tmpdir(), 'lastcall-folder-'));
  const fresh = join(parent, 'deep', 'lab');
  await makePrivateFolder(fresh);
  expect(others(fresh)).toBe(0);
  writeFileSync(join(fresh, 'secrets.json'), '{}');
  chmodSync(fresh, 0o755);
  await makePrivateFolder(fresh);
  expect(others(fresh)).toBe(0);
});

test("a folder that is no lab's keeps its mode", async () => {
  const somebodys = mkdtempSync(join(tmpdir(), 'lastcall-folder-'));
  chmodSync(somebodys, 0o755);
  await makePrivateFolder(somebodys);
  expect(others(somebodys)).toBe(5);
});
