/** Completion scripts of shells. Nothing is run while a line is completed: all words stand in the script. */

import type { CompletedCommand, CompletedOption } from './command-tree.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What is done with the script. */
export const INSTALLED_BY: Readonly<Record<Shell, string>> = {
  bash: 'source <(bnn completion bash)',
  zsh: 'source <(bnn completion zsh)',
  fish: 'bnn completion fish | source',
};

/**
 * @param tree      `bnn` first.
 * @param programs  commands that are also programs of their own, `bnn-<name>`.
 */
export function completionScript(shell: Shell, tree: readonly CompletedCommand[], programs: readonly string[]): string {
  switch (shell) {
    case 'bash':
      return bashScript(tree, programs);
    case 'zsh':
      return zshScript(tree, programs);
    case 'fish':
      return fishScript(tree, programs);
    default:
      return shell satisfies never;
  }
}

/** The words of a line up to the cursor → the command they call; both shells split words alike. */
const pathCases = (tree: readonly CompletedCommand[]): string =>
  tree
    .slice(1)
    .map(({ path }) => `'${path}'`)
    .join('|');

const wordsOf = ({ commands, options, choices }: CompletedCommand): { first: string; flags: string } => ({
  first: [...commands.map(({ name }) => name), ...choices].join(' '),
  flags: options.map(({ flag }) => flag).join(' '),
});

function valueCases(tree: readonly CompletedCommand[]): string {
  return tree
    .flatMap(({ path, options }) => options.filter(({ takesValue }) => takesValue).map((option) => ({ path, option })))
    .map(({ path, option }) => `    '${path} ${option.flag}') words='${option.choices.join(' ')}'; value=1;;`)
    .join('\n');
}

function wordCases(tree: readonly CompletedCommand[]): string {
  return tree
    .map((command) => {
      const { first, flags } = wordsOf(command);
      return `      '${command.path}') first='${first}'; flags='${flags}';;`;
    })
    .join('\n');
}

function bashScript(tree: readonly CompletedCommand[], programs: readonly string[]): string {
  return `# Completion of bnn for bash: source <(bnn completion bash)
_bnn_complete() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path=bnn words='' first='' flags='' value=0 i
  local name=\${COMP_WORDS[0]##*/}
  [[ $name == bnn-* ]] && path="bnn \${name#bnn-}"
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in ${pathCases(tree)}) path="$path \${COMP_WORDS[i]}";; esac
  done
  case "$path $previous" in
${valueCases(tree)}
  esac
  if ((!value)); then
    case "$path" in
${wordCases(tree)}
    esac
    case $current in -*) words=$flags;; *) words=$first;; esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _bnn_complete ${programNames(programs).join(' ')}
`;
}

function zshScript(tree: readonly CompletedCommand[], programs: readonly string[]): string {
  return `#compdef ${programNames(programs).join(' ')}
# Completion of bnn for zsh: source <(bnn completion zsh)
_bnn_complete() {
  local current=\${words[CURRENT]} previous=\${words[CURRENT-1]} name=\${words[1]:t} path_of=bnn choices='' first='' flags='' value=0 i
  [[ $name == bnn-* ]] && path_of="bnn \${name#bnn-}"
  for ((i = 2; i < CURRENT; i++)); do
    case "$path_of \${words[i]}" in (${pathCases(tree)}) path_of="$path_of \${words[i]}";; esac
  done
  case "$path_of $previous" in
${valueCases(tree).replaceAll("    '", "    ('").replaceAll('words=', 'choices=')}
  esac
  if ((!value)); then
    case "$path_of" in
${wordCases(tree).replaceAll("      '", "      ('")}
    esac
    case $current in (-*) choices=$flags;; (*) choices=$first;; esac
  fi
  [[ -n $choices ]] && compadd -- \${=choices}
  [[ $current == -* ]] || _files
}
compdef _bnn_complete ${programNames(programs).join(' ')}
`;
}

function fishScript(tree: readonly CompletedCommand[], programs: readonly string[]): string {
  const lines = ['# Completion of bnn for fish: bnn completion fish | source'];
  for (const command of tree) {
    const [, name, sub] = command.path.split(' ');
    const seen = [name, sub].flatMap((word) => (word === undefined ? [] : [`__fish_seen_subcommand_from ${word}`]));
    const condition = seen.length === 0 ? '__fish_use_subcommand' : seen.join('; and ');
    lines.push(...fishLines('bnn', command, condition));
    if (name !== undefined && programs.includes(name)) {
      lines.push(...fishLines(`bnn-${name}`, command, sub === undefined ? undefined : seen.at(-1)));
    }
  }
  return `${lines.join('\n')}\n`;
}

function fishLines(program: string, { commands, options, choices }: CompletedCommand, condition?: string): string[] {
  const start = `complete -c ${program}${condition === undefined ? '' : ` -n ${fishQuote(condition)}`}`;
  return [
    ...commands.map(({ name, help }) => `${start} -f -a ${name} -d ${fishQuote(help)}`),
    ...(choices.length === 0 ? [] : [`${start} -a ${fishQuote(choices.join(' '))}`]),
    ...options.map((option) => `${start} -l ${option.flag.slice(2)}${fishValue(option)} -d ${fishQuote(option.help)}`),
  ];
}

function fishValue({ takesValue, choices }: CompletedOption): string {
  if (!takesValue) return '';
  return choices.length === 0 ? ' -r' : ` -x -a ${fishQuote(choices.join(' '))}`;
}

function fishQuote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function programNames(programs: readonly string[]): string[] {
  return ['bnn', ...programs.map((name) => `bnn-${name}`)];
}
