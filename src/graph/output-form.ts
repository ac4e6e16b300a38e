/** What the numbers mean that a classifier gives: logits or probabilities, one for each class or one that decides between two. */

import type { OutputForm } from '../core/pictures/preprocessing.ts';
import { finalActivation } from './final-activation.ts';
import type { Graph } from './graph.ts';

export type { OutputForm };

const FORMS: ReadonlyMap<string, OutputForm> = new Map([
  ['Softmax', 'probabilities'],
  ['Sigmoid', 'probabilities'],
  ['HardSigmoid', 'probabilities'],
  ['Tanh', 'signed'],
  ['Sign', 'signed'],
  ['bnn.Sign', 'signed'],
]);

/** As far as the end of the graph tells. What one number may be, several are only after a softmax. */
export function outputFormOf(graph: Graph): (outputs: number) => OutputForm {
  const end = finalActivation(graph)?.type ?? '';
  return (outputs) => (outputs === 1 || end === 'Softmax' ? FORMS.get(end) : undefined) ?? 'logits';
}

/** What one number must exceed to be class 1. */
export function thresholdOf(form: OutputForm): number {
  return form === 'probabilities' ? 0.5 : 0;
}

/** Of binary cross-entropy in PyTorch: a wrong class of probability 1 costs 100, not infinity. */
const LOWEST_LOG = -100;

/** Logits for each class, whose softmax is what the numbers mean; of one number, of both classes. */
export function classLogits(values: Float32Array, outputs: number, form: OutputForm): ArrayLike<number> {
  if (form === 'logits') return outputs === 1 ? pairs(values, (z) => [0, z]) : values;
  return Float64Array.from(classProbabilities(values, outputs, form), (p) => Math.max(LOWEST_LOG, Math.log(p)));
}

/** As many logits as there are numbers: what went into the function at the end, up to a constant. */
export function logitsBehind(values: Float32Array, outputs: number, form: OutputForm): Float32Array {
  if (form === 'logits') return values;
  const logits = classLogits(values, outputs, form);
  if (outputs !== 1) return Float32Array.from(logits);
  return values.map((_, i) => (logits[2 * i + 1] ?? Number.NaN) - (logits[2 * i] ?? Number.NaN));
}

/** The numbers as they are, but of one number for both classes, by the same scale. */
export function classNumbers(values: Float32Array, outputs: number, form: OutputForm): ArrayLike<number> {
  if (outputs !== 1) return values;
  if (form === 'logits') return pairs(values, (z) => [0, z]);
  return pairs(values, (y) => (form === 'signed' ? [-y, y] : [1 - y, y]));
}

/** A probability for each class. */
export function classProbabilities(values: Float32Array, outputs: number, form: OutputForm): ArrayLike<number> {
  const numbers = classNumbers(values, outputs, form);
  if (form === 'probabilities') return numbers;
  if (form === 'signed') return Float64Array.from(numbers, (y) => (1 + y) / 2);
  const classes = Math.max(2, outputs);
  const result = Float64Array.from(numbers);
  for (let from = 0; from < result.length; from += classes) {
    const row = result.subarray(from, from + classes);
    const largest = row.reduce((a, b) => Math.max(a, b));
    for (const [i, z] of row.entries()) row[i] = Math.exp(z - largest);
    const sum = row.reduce((a, b) => a + b);
    for (const [i, power] of row.entries()) row[i] = power / sum;
  }
  return result;
}

function pairs(values: Float32Array, pair: (value: number) => readonly [number, number]): Float64Array {
  const result = new Float64Array(2 * values.length);
  for (const [i, value] of values.entries()) result.set(pair(value), 2 * i);
  return result;
}
