/** What the findings of `bnn doctor` mean for a user. */

import type { Finding } from '../core/found.ts';

export interface MachineVerdict {
  /** `slow`: all works, part of it at a fraction of the speed. `incomplete`: something cannot be done. */
  readonly state: 'ready' | 'slow' | 'incomplete';
  readonly summary: string;
  /** What would help; empty when ready. */
  readonly todo: readonly string[];
}

interface Findings {
  readonly backends: readonly Finding[];
  readonly providers: readonly Finding[];
  readonly kernels: readonly Finding[];
}

/** From best to slowest; a GPU before the processor. */
const BACKENDS = ['webgpu', 'tensorflow', 'native', 'wasm', 'cpu'];
const FAST = ['webgpu', 'tensorflow', 'native'];

export function verdictOf({ backends, providers, kernels }: Findings): MachineVerdict {
  const works = (findings: readonly Finding[], name: string): boolean =>
    findings.some((finding) => finding.name === name && finding.works);
  const trainers = BACKENDS.filter((name) => works(backends, name));
  const hasRuntime = works(providers, 'cpu');
  const hasOps = hasRuntime && works(kernels, 'operator library');
  const hasEngine = works(kernels, 'our engine');
  const todo: string[] = [];
  if (!trainers.some((name) => FAST.includes(name))) todo.push('bnn setup native: faster training');
  if (!hasRuntime) todo.push('bnn setup onnxruntime: to run files that are not packed');
  else if (!hasOps) todo.push(`${hintOf(kernels, 'operator library')}: packed files at full speed in onnxruntime`);
  const [trainer = 'nothing here'] = trainers;
  const runs = hasOps
    ? 'onnxruntime with the operator library'
    : hasEngine
      ? 'our engine'
      : 'stock onnxruntime, slowly';
  const isComplete = trainers.length > 0 && hasRuntime && (hasOps || hasEngine);
  return {
    state: !isComplete ? 'incomplete' : todo.length > 0 ? 'slow' : 'ready',
    summary: `training runs on ${trainer}, packed files run in ${hasRuntime || hasEngine ? runs : 'nothing here'}`,
    todo,
  };
}

function hintOf(findings: readonly Finding[], name: string): string {
  return findings.find((finding) => finding.name === name)?.hint ?? 'bnn setup onnxruntime';
}
