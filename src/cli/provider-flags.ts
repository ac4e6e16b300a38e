/** The options that choose an execution provider of onnxruntime. */

import { type Command, Option } from 'commander';
import { EXECUTION_PROVIDERS, type ExecutionProvider } from '../inference/provider.ts';
import { parseProviderOptions } from '../inference/provider-options.ts';
import type { ProviderChoice } from '../inference/session.ts';
import { refuseUnused } from './unused-options.ts';

export interface ProviderFlags {
  readonly ep: ExecutionProvider;
  readonly epOption?: readonly string[];
  readonly allowCpuFallback?: boolean;
}

export function addProviderOption(command: Command): Command {
  return command.addOption(
    new Option('--ep <name>', 'execution provider of onnxruntime; bnn doctor shows which work')
      .choices(EXECUTION_PROVIDERS)
      .default('cpu'),
  );
}

export function addAdvancedProviderOptions(command: Command): Command {
  return command
    .option(
      '--ep-option <key=value>',
      'option of the execution provider, e.g. deviceId=1; may be repeated',
      (text: string, earlier: readonly string[] = []) => [...earlier, text],
    )
    .option(
      '--allow-cpu-fallback',
      'let nodes that the execution provider does not have run on the CPU, instead of failing',
    );
}

/**
 * @param others  providers that the same options apply to.
 * @throws {BnnError} E_USAGE for an option that the provider does not have.
 */
export function providerChoiceOf(
  { ep, epOption = [], allowCpuFallback }: ProviderFlags,
  others: readonly ExecutionProvider[] = [],
): ProviderChoice {
  const isCpu = [ep, ...others].every((name) => name === 'cpu');
  refuseUnused('--ep cpu', { '--allow-cpu-fallback': allowCpuFallback === true && isCpu });
  return { ep, epOptions: parseProviderOptions(ep, epOption), allowCpuFallback };
}

/** How many nodes ran where, e.g. `106 on webgpu, 3 on cpu`. */
export function formatNodes(nodes: Readonly<Record<string, number>>): string {
  return Object.entries(nodes)
    .map(([provider, count]) => `${count} on ${provider}`)
    .join(', ');
}
