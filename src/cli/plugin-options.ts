/** `--plugin`: read before the options of a command are made, since plug-ins bring options. */

import { type Command, Option } from 'commander';
import type { Parts } from '../training/recipes/parts.ts';
import { ADVANCED } from './options.ts';

const FLAG = '--plugin';

/** The files that are named, wherever they stand among the arguments. */
function pluginFiles(args: readonly string[]): string[] {
  const end = args.indexOf('--');
  return args.slice(0, end < 0 ? undefined : end).flatMap((arg, i) => {
    if (arg.startsWith(`${FLAG}=`)) return [arg.slice(FLAG.length + 1)];
    const value = args[i + 1];
    return arg === FLAG && value !== undefined && !value.startsWith('-') ? [value] : [];
  });
}

/** The tables with what the named plug-ins add; undefined where none is named. */
export async function partsFromArguments(args: readonly string[]): Promise<Parts | undefined> {
  const files = pluginFiles(args);
  if (files.length === 0) return undefined;
  const { openParts } = await import('../training/recipes/parts.ts');
  return openParts(files);
}

/** @param what  for the help. */
export function addPluginOption(command: Command, what: string): Command {
  const collect = (file: string, before: readonly string[] = []): string[] => [...before, file];
  const option = new Option(`${FLAG} <file>`, `${what}; may be given several times`).argParser(collect);
  return command.addOption(option.helpGroup(ADVANCED));
}
