/** From an argument list to an exit code. */

import { Command, CommanderError } from 'commander';
import { nearest } from '../core/nearest.ts';
import { isFollower } from '../distributed/launcher.ts';
import { BnnError } from '../errors.ts';
import { COMMANDS, type CommandEntry } from './commands.ts';
import { addExamples, addProgramOptions } from './options.ts';
import { partsFromArguments } from './plugin-options.ts';
import { printError } from './print-error.ts';
import { Terminal } from './terminal.ts';
import { nameOf, toUsageError } from './usage-error.ts';

/**
 * Runs a program and sets the exit code of the process.
 *
 * @param program  `bnn`, or `bnn-<command>` for one command alone.
 * @param args     without the interpreter and the script.
 */
export async function runCli(program: string, args: readonly string[]): Promise<void> {
  const onExit = (): void => {
    if (process.exitCode !== UNSETTLED) return;
    process.exitCode = printError(neverEnds(args), program, terminalFor(new Command(), args));
  };
  process.once('exit', onExit);
  await runProgram(program, args);
  process.off('exit', onExit);
}

async function runProgram(program: string, args: readonly string[]): Promise<void> {
  const [first, second] = args;
  const writesFiles = COMMANDS[program === 'bnn' ? (first ?? '') : program.replace(/^bnn-/, '')]?.writesFiles === true;
  handleStreamErrors(program, writesFiles);
  if (program === 'bnn' && first === 'help') args = second === undefined ? ['--help'] : [...args.slice(1), '--help'];
  let root: Command;
  try {
    root = await createProgram(program, args);
  } catch (error) {
    const label = program === 'bnn' && first !== undefined ? `bnn ${first}` : program;
    process.exitCode = printError(error, label, terminalFor(new Command(), args));
    return;
  }
  const called = calledCommand(root, args);
  try {
    assertCurrentFolder();
    if (called === root) refuseUnknownCommand(program, args);
    await root.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    const label = program === 'bnn' && called !== root ? programOf(called) : program;
    const shown = error instanceof CommanderError ? toUsageError(error, called) : error;
    process.exitCode = printError(shown, label, terminalFor(called, args));
  }
}

/** Exit code of Node where nothing is left to do, and something is still waited for. */
const UNSETTLED = 13;

function neverEnds(args: readonly string[]): Error {
  const what = 'a promise that is waited for is never settled';
  if (!args.some((arg) => /^--plugin(=|$)/.test(arg))) return new Error(`internal: ${what}`);
  return new BnnError('E_PLUGIN', `${what}, and nothing else is left to do`, {
    hint: 'look at the asynchronous functions of the plug-in',
  });
}

function handleStreamErrors(program: string, writesFiles: boolean): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever reads the output may stop early (`| head`), and a terminal may be closed (EIO).
    if (['EPIPE', 'ERR_STREAM_DESTROYED', 'EIO', 'ENXIO'].includes(error.code ?? '')) {
      if (writesFiles) return;
      process.exit(0);
    }
    const cause = new BnnError('E_IO', `cannot write the result: ${error.message}`, {
      at: 'stdout',
      hint: 'free some space on the disk, or send the output elsewhere',
    });
    process.exit(printError(cause, program, new Terminal()));
  });
  // What is lost there is progress; a training should not end for that.
  process.stderr.on('error', () => {});
}

async function createProgram(program: string, args: readonly string[]): Promise<Command> {
  if (program !== 'bnn') {
    const entry = COMMANDS[program.replace(/^bnn-/, '')];
    if (entry === undefined) throw new Error(`internal: no program ${program}`);
    return prepare(await loadCommand(entry, program, args));
  }
  const root = new Command('bnn')
    .description('Binary neural networks: training, export as ONNX with bit-packed weights, validation in onnxruntime.')
    .usage('<command> [options]')
    .helpCommand(false);
  addProgramOptions(root);
  addExamples(root, [
    ['bnn train --model binarynet-mini --dataset mnist --epochs 3 --out runs/mnist', 'train on the embedded MNIST'],
    ['bnn export runs/mnist -o mnist.onnx', 'write the network with one bit per binary weight'],
    ['bnn validate mnist.onnx --dataset mnist', 'test that file in onnxruntime'],
  ]);
  for (const [name, entry] of Object.entries(COMMANDS)) {
    // Only the command that is called needs its options.
    const command = args[0] === name ? await loadCommand(entry, name, args) : new Command(name);
    root.addCommand(prepare(command.summary(entry.summary)));
  }
  root.action(() => {
    throw new BnnError('E_USAGE', 'no command given', { hint: 'bnn --help lists the commands' });
  });
  return prepare(root);
}

async function loadCommand(entry: CommandEntry, name: string, args: readonly string[]): Promise<Command> {
  const parts = entry.takesPlugins === true ? await partsFromArguments(args) : undefined;
  return (await entry.load())(name, parts);
}

/** Errors are thrown, not printed; help goes to stdout as usual. */
function prepare(command: Command): Command {
  for (const sub of command.commands) prepare(sub);
  return command
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .showSuggestionAfterError(true);
}

/** The lowest one that is named: `conv` of `bnn bench conv`. */
function calledCommand(root: Command, args: readonly string[]): Command {
  const sub = root.commands.find((command) => command.name() === args[0]);
  return sub === undefined ? root : calledCommand(sub, args.slice(1));
}

/** @throws {BnnError} E_NOT_FOUND where it was deleted, since relative paths lead nowhere then. */
function assertCurrentFolder(): void {
  try {
    process.cwd();
  } catch (cause) {
    throw new BnnError('E_NOT_FOUND', 'the current folder was deleted', { hint: 'change to another folder', cause });
  }
}

/** commander takes an unknown command for an argument of `bnn`. */
function refuseUnknownCommand(program: string, args: readonly string[]): void {
  const [name] = args;
  if (program !== 'bnn' || name === undefined || name.startsWith('-')) return;
  const near = nearest(name, Object.keys(COMMANDS));
  throw new BnnError('E_USAGE', `unknown command '${name}'`, {
    hint: near === undefined ? `commands: ${Object.keys(COMMANDS).join(', ')}` : `did you mean ${near}?`,
  });
}

function programOf(command: Command): string {
  const isSub = command.parent !== null && command.parent.parent !== null;
  if (isSub) return programOf(command.parent as Command);
  return nameOf(command);
}

/** The options may not have been parsed when the error occurred. */
function terminalFor(command: Command, args: readonly string[]): Terminal {
  return new Terminal({
    ...command.opts(),
    silent: isFollower(),
    json: args.includes('--json'),
    quiet: args.includes('--quiet'),
    verbose: args.includes('-v') || args.includes('--verbose'),
  });
}
