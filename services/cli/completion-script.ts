export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export interface CompletedCommand {
  /** `['terminals', 'add']` */
  readonly words: readonly string[];
  readonly summary: string;
  /** `--json` */
  readonly options: readonly string[];
}

/** Pure: the script that a shell reads. It is static: pressing Tab starts no program. */
export function completionScript(shell: Shell, commands: readonly CompletedCommand[]): string {
  if (shell === 'fish') return fishScript(commands);
  const bash = bashScript(commands);
  return shell === 'bash' ? bash : `autoload -U +X bashcompinit && bashcompinit\n${bash}`;
}

function bashScript(commands: readonly CompletedCommand[]): string {
  const cases = commands.map(
    ({ options, words }) => `    ${quote(words.join(' '))}) words=${quote(options.join(' '))} ;;`,
  );
  const groups = [...groupsOf(commands)].map(
    ([group, seconds]) => `    ${quote(group)}) words=${quote(seconds.join(' '))} ;;`,
  );
  return `# lastcall completion
_lastcall() {
  local current="\${COMP_WORDS[COMP_CWORD]}" typed="" word words=${quote(firstWords(commands).join(' '))}
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) [ "$(wc -w <<< "$typed")" -lt 2 ] && typed="\${typed:+$typed }$word" ;; esac
  done
  case "$typed" in
${cases.join('\n')}
${groups.join('\n')}
    "") ;;
    *) case "\${typed%% *}" in
${commands
  .filter(({ words }) => words.length === 1)
  .map(({ options, words }) => `      ${quote(words.join(' '))}) words=${quote(options.join(' '))} ;;`)
  .join('\n')}
      *) words="" ;;
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _lastcall lastcall
`;
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const groups = groupsOf(commands);
  const lines = commands.flatMap(({ options, summary, words: [first = '', second] }) => {
    const seen =
      second === undefined
        ? `__fish_seen_subcommand_from ${first}`
        : `__fish_seen_subcommand_from ${first}; and __fish_seen_subcommand_from ${second}`;
    const offered =
      second === undefined
        ? `complete -c lastcall -f -n __fish_use_subcommand -a ${first} -d ${quote(summary)}`
        : `complete -c lastcall -f -n '__fish_seen_subcommand_from ${first}; and not __fish_seen_subcommand_from ${groups.get(first)?.join(' ')}' -a ${second} -d ${quote(summary)}`;
    return [offered, ...options.map((option) => `complete -c lastcall -n '${seen}' -l ${option.slice(2)}`)];
  });
  const first = [...groups.keys()].map(
    (group) => `complete -c lastcall -f -n __fish_use_subcommand -a ${group}`,
  );
  return `# lastcall completion\n${[...first, ...lines].join('\n')}\n`;
}

function firstWords(commands: readonly CompletedCommand[]): string[] {
  return [...new Set(commands.map(({ words }) => words[0] ?? ''))];
}

/** `terminals` with `add`, `list` ... */
function groupsOf(commands: readonly CompletedCommand[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const {
    words: [first = '', second],
  } of commands)
    if (second !== undefined) groups.set(first, [...(groups.get(first) ?? []), second]);
  return groups;
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
