import type { Command as Commander } from 'commander';
import { USAGE } from '../../services/lab/options.ts';

/** A command line that a document shows. */
export interface CommandLine {
  readonly page: string;
  readonly line: string;
}

const FENCE = /^```[^\n]*\n([\s\S]*?)^```/gm;
/** `lastcall ...` at the beginning of a line or of an inline span, after a prompt or a variable too. */
const BEGINS = /^(?:\$ |(?:sudo )?(?:-u \S+ )?)?(?:[A-Z_]+=\S+ )*((?:npx )?lastcall|npm) ([^=].*)$/;

/** Command lines of `lastcall` and `npm` in code blocks and in inline code. Continued lines are one; comments are none. */
export function commandLines(page: string, markdown: string): readonly CommandLine[] {
  const blocks = [...markdown.matchAll(FENCE)].flatMap(([, body = '']) =>
    body.replaceAll('\\\n', ' ').split('\n'),
  );
  const spans = [...markdown.replace(FENCE, '').matchAll(/`([^`]+)`/g)].map(([, span = '']) =>
    span.replace(/\s+/g, ' '),
  );
  return [...blocks, ...spans].flatMap((text) => {
    const found = BEGINS.exec(text.trim().replace(/\s+#\s.*$/, ''));
    return found ? [{ page, line: `${found[1]?.replace('npx ', '')} ${found[2]}` }] : [];
  });
}

/** What is wrong with the line; null when there is nothing. Words in capitals and `<words>` stand for anything. */
export function faultOf(line: string, program: Commander, scripts: readonly string[]): string | null {
  const words = line
    .replace(/\s[|>&;].*$/, '')
    .replace(/[[\]]/g, '')
    .split(/\s+/)
    .filter((word) => word !== '');
  return words[0] === 'npm' ? npmFault(words.slice(1), scripts) : lastcallFault(words.slice(1), program);
}

function npmFault([verb = '', ...rest]: readonly string[], scripts: readonly string[]): string | null {
  if (verb === 'ci' || verb === 'install' || verb === 'pack') return null;
  const script = verb === 'run' ? (rest[0] ?? '') : verb;
  if (!scripts.includes(script)) return `no script ${script}`;
  if (script !== 'start') return null;
  return rest
    .filter((word) => /^--[a-z]/.test(word))
    .map((word) => word.replace(/=.*/, ''))
    .reduce<string | null>(
      (fault, option) =>
        fault ??
        (USAGE.includes(` ${option} `) || USAGE.includes(` ${option}\n`) ? null : `no option ${option}`),
      null,
    );
}

function lastcallFault(words: readonly string[], program: Commander): string | null {
  if (words[0] === '...' || words[0]?.startsWith('<')) return null;
  let command = program;
  const rest = [...words];
  while (command.commands.length > 0) {
    while (rest[0]?.startsWith('--'))
      rest.splice(0, rest[0].includes('=') || rest[1]?.startsWith('-') ? 1 : 2);
    if (rest.length === 0) return null;
    const next = command.commands.find((each) => each.name() === rest[0]);
    if (!next) return `no command ${rest[0]}`;
    command = next;
    rest.shift();
  }
  const known = [program, command].flatMap((each) =>
    each.options.flatMap(({ long, short }) => [long, short]),
  );
  const unknown = rest
    .filter((word) => /^--?[a-z]/i.test(word))
    .map((word) => word.replace(/[=|,].*/, ''))
    .find((option) => !known.includes(option) && !['--help', '-h', '--version'].includes(option));
  return unknown === undefined ? null : `no option ${unknown}`;
}
