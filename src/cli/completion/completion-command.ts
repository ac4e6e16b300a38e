/** `bnn completion`. */

import { Argument, Command } from 'commander';
import { addExamples, addGeneralOptions, addProgramOptions, type GeneralOptions, terminalOf } from '../options.ts';
import { commandTree } from './command-tree.ts';
import { completionScript, INSTALLED_BY, SHELLS, type Shell } from './scripts.ts';

/** A row of the table of commands. */
interface CompletableCommand {
  readonly summary: string;
  readonly hasOwnProgram: boolean;
  readonly load: () => Promise<(name: string) => Command>;
}

type Commands = Readonly<Record<string, CompletableCommand>>;

/** @param commands  what is completed. */
export function createCompletionCommand(name: string, commands: Commands): Command {
  const command = new Command(name)
    .description('Prints a script that completes commands, options, and what they can be, in a shell.')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS));
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    [`echo '${INSTALLED_BY.bash}' >> ~/.bashrc`, 'bash, from the next shell on'],
    [`echo '${INSTALLED_BY.zsh}' >> ~/.zshrc`, 'zsh, after compinit'],
    ['bnn completion fish > ~/.config/fish/completions/bnn.fish', 'fish'],
  ]).action(async (shell: Shell, options: GeneralOptions) => {
    const terminal = terminalOf(options);
    const programs = Object.keys(commands).filter((command) => commands[command]?.hasOwnProgram);
    const script = completionScript(shell, commandTree(await createWholeProgram(commands)), programs);
    terminal.event('result', { shell, script });
    if (!terminal.json) process.stdout.write(script);
  });
}

/** All commands with all their options; a call makes only those that it needs. */
async function createWholeProgram(commands: Commands): Promise<Command> {
  const root = addProgramOptions(new Command('bnn').helpCommand(false));
  for (const [name, { load, summary }] of Object.entries(commands)) {
    root.addCommand((await load())(name).summary(summary));
  }
  return root;
}
