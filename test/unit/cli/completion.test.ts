import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { runCli } from './run-cli.ts';

const complete = async (...typed: string[]): Promise<string[]> => {
  const { out } = await runCli(['completion', 'bash']);
  const words = typed.map((word) => `'${word}'`).join(' ');
  const ask = `${out}\nCOMP_WORDS=(lastcall ${words}); COMP_CWORD=${typed.length}; _lastcall; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', ask], { encoding: 'utf8' }).trim().split('\n');
};

it.each([
  [['stat'], 'status'],
  [['terminals', 'im'], 'import'],
  [['terminals', 'import', '--at'], '--atomic'],
  [['status', '--wa'], '--watch'],
  [['lookup', '1001', '--js'], '--json'],
  [['forget', '1001', '--sc'], '--scope'],
])('bash completes %j with %s', async (typed, expected) => {
  expect(await complete(...typed)).toEqual([expected]);
});

it('each shell gets a script, another name is refused', async () => {
  expect((await runCli(['completion', 'zsh'])).out).toContain('bashcompinit');
  expect((await runCli(['completion', 'fish'])).out).toMatch(/complete -c lastcall .*-a import/);
  expect(await runCli(['completion', 'cmd'])).toMatchObject({ exit: 2 });
});
