/** What a step takes in memory at least, known before it is taken. */

import { formatGigabytes } from '../../core/machine/memory.ts';
import { BnnError } from '../../errors.ts';
import type { Value } from '../../graph/graph.ts';
import type { Step } from '../steps/step.ts';

/** A step of a program: where its values are kept, and how long. */
export interface StepLifetimes {
  readonly step: Step;
  /** Slots. */
  readonly inputs: readonly number[];
  readonly output: number;
  /** Which inputs the gradient flows to. */
  readonly needs: readonly boolean[];
  /** Slots that nothing reads after this step's forward pass, in evaluation and in training. */
  readonly freeInference: readonly number[];
  readonly freeTraining: readonly number[];
}

/** Numbers of a value in a batch of so many pictures; a size that is not known counts as 1. */
function elementsOf({ shape }: Value, batch: number): number {
  let count = 1;
  for (const [axis, size] of (shape ?? []).entries()) count *= typeof size === 'number' ? size : axis === 0 ? batch : 1;
  return count;
}

/** What lives at the same time. */
class Living {
  readonly #sizes = new Map<number, number>();
  #now = 0;
  highest = 0;

  add(slot: number, elements: number): void {
    if (this.#sizes.has(slot)) return;
    this.#sizes.set(slot, elements);
    this.#now += elements;
    this.highest = Math.max(this.highest, this.#now);
  }

  /** Lives only now. */
  pass(elements: number): void {
    this.highest = Math.max(this.highest, this.#now + elements);
  }

  free(slot: number): void {
    this.#now -= this.#sizes.get(slot) ?? 0;
    this.#sizes.delete(slot);
  }
}

/**
 * The most float32 numbers, besides the parameters, that a pass over `batch` pictures holds at once, as far as the shapes tell: what
 * kernels need for themselves is not counted.
 *
 * @param isTraining  with the backward pass, for which values are kept.
 */
export function peakElements(
  steps: readonly StepLifetimes[],
  input: Value,
  batch: number,
  isTraining: boolean,
): number {
  const values = new Living();
  const sizeOf = (step: Step): number => (step.sharesMemory ? 0 : elementsOf(step.output, batch));
  const scratch = (step: Step): number => (step.scratch ?? 0) * batch;
  values.add(-1, elementsOf(input, batch));
  for (const { step, output, freeInference, freeTraining } of steps) {
    values.add(output, sizeOf(step));
    values.pass(scratch(step));
    for (const slot of isTraining ? freeTraining : freeInference) values.free(slot);
  }
  if (!isTraining) return values.highest;
  // Gradients have slots of their own behind those of the values.
  const gradient = (slot: number): number => -2 - slot;
  for (const { step, inputs, output, needs } of [...steps].reverse()) {
    if (needs.includes(true)) {
      for (const [position, value] of step.inputs.entries()) {
        if (needs[position] && value.constant === null) {
          values.add(gradient(inputs[position] ?? -1), step.sharesMemory ? 0 : elementsOf(value, batch));
        }
      }
      // Its gradient, too.
      values.pass(2 * scratch(step));
    }
    values.free(gradient(output));
    values.free(output);
  }
  return values.highest;
}

/** The largest batch of 1 to `most` pictures for which `bytesOf` stays within a limit; 0 where one is too many. */
export function largestBatch(bytesOf: (batch: number) => number, most: number, limit: number): number {
  let [fits, tooMany] = [0, most + 1];
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (bytesOf(middle) <= limit) fits = middle;
    else tooMany = middle;
  }
  return fits;
}

/** What the estimate leaves out takes its share. */
const SAFE_SHARE = 0.8;

/**
 * Refuses a training step that cannot fit.
 *
 * @param bytesOf  bytes of a step of so many pictures, at least.
 * @param flag     the option that sets the batch size.
 * @throws {BnnError} E_BACKEND with both numbers, and a batch size that fits where there is one.
 */
export function assertStepFits(
  bytesOf: (batch: number) => number,
  batch: number,
  limit: number,
  flag = '--batch-size',
): void {
  if (bytesOf(batch) <= limit) return;
  const smaller = largestBatch(bytesOf, batch, SAFE_SHARE * limit);
  const needs = `a training step of ${batch} pictures needs at least ${formatGigabytes(bytesOf(batch))} of memory`;
  throw new BnnError('E_BACKEND', `${needs}, ${formatGigabytes(limit)} can be used`, {
    hint:
      smaller > 0
        ? `${flag} ${smaller} would fit`
        : `one picture needs ${formatGigabytes(bytesOf(1))}; choose smaller pictures or a smaller network`,
  });
}
