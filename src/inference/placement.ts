/** On which execution provider each node ran, from onnxruntime's profile of a run. */

import { BnnError } from '../errors.ts';
import { EXECUTION_PROVIDERS, type ExecutionProvider } from './provider.ts';

export interface Placement {
  /** Nodes by the provider that ran them, e.g. `{ webgpu: 109 }`; one that TensorRT or Core ML fused counts as one. */
  readonly nodes: Readonly<Record<string, number>>;
  /** Those that the CPU ran, as operator and name. */
  readonly onCpu: readonly string[];
}

/** As onnxruntime calls them in profiles: `CUDAExecutionProvider`, `DmlExecutionProvider` … */
function providerOf(label: string): string {
  const name = label.replace(/ExecutionProvider$/, '').toLowerCase();
  return EXECUTION_PROVIDERS.find((ep) => ep === name) ?? label;
}

interface ProfileEvent {
  readonly cat?: string;
  readonly name?: string;
  readonly args?: { readonly provider?: string; readonly op_name?: string; readonly node_index?: string };
}

/** @param profile  text of the JSON file that onnxruntime writes. */
export function parsePlacement(profile: string): Placement {
  const nodes: Record<string, number> = {};
  const onCpu: string[] = [];
  const seen = new Set<string>();
  for (const { cat, name = '', args } of JSON.parse(profile) as ProfileEvent[]) {
    if (cat !== 'Node' || args?.provider === undefined || !name.endsWith('_kernel_time')) continue;
    // Inside a loop a node runs several times.
    const key = `${args.node_index} ${name}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const provider = providerOf(args.provider);
    nodes[provider] = (nodes[provider] ?? 0) + 1;
    if (provider === 'cpu') onCpu.push(`${args.op_name} "${name.replace(/_kernel_time$/, '')}"`);
  }
  return { nodes, onCpu };
}

const FEW = 5;

/** @throws {BnnError} E_BACKEND when nodes ran on the CPU although another provider was asked for, or nothing is known of them. */
export function assertPlacement({ nodes, onCpu }: Placement, ep: ExecutionProvider, at: string): void {
  const count = Object.values(nodes).reduce((a, b) => a + b, 0);
  if (count > 0 && onCpu.length === 0) return;
  const named = `${onCpu.slice(0, FEW).join(', ')}${onCpu.length > FEW ? ' …' : ''}`;
  const message =
    count === 0
      ? `onnxruntime does not say whether the nodes ran on ${ep}`
      : `${onCpu.length} of ${count} nodes ran on the CPU, not on ${ep}: ${named}`;
  throw new BnnError('E_BACKEND', message, { at, hint: 'accept it with --allow-cpu-fallback, or use --ep cpu' });
}
