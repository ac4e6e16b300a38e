/** The passes of a program over its planned steps, as generators that yield between layers. */

import * as tf from '@tensorflow/tfjs-core';
import { isOutOfMemory } from '../../backends/out-of-memory.ts';
import { BnnError } from '../../errors.ts';
import { enterScope } from '../../kernels/layer-scope.ts';
import type { Run, Step } from '../steps/step.ts';
import { weightSource } from './parameters.ts';
import type { Plan } from './plan-steps.ts';

/** Tensors by slot. */
export type Tensors = (tf.Tensor | undefined)[];

/** What a forward pass leaves for the backward one. */
export interface Kept {
  readonly slots: Tensors;
  readonly saved: (readonly tf.Tensor[])[];
  /** Of every slot, also of those that are freed. */
  readonly shapes: (readonly number[])[];
}

/**
 * Runs all steps; with `keep`, leaves in it what the backward pass reads. The caller owns the result unless it is kept.
 *
 * @param owned  constants, parameters and buffers.
 */
export function* forward(
  plan: Plan,
  owned: Readonly<Tensors>,
  x: tf.Tensor,
  run: Run,
  keep: Kept | null,
  slots: Tensors = keep?.slots ?? [],
): Generator<void, tf.Tensor> {
  for (const [slot, own] of owned.entries()) slots[slot] = own;
  slots[plan.input] = x;
  if (keep !== null) for (const [slot, t] of slots.entries()) keep.shapes[slot] = t?.shape ?? [];
  for (const { step, inputs, output, freeInference, freeTraining } of plan.steps) {
    enterScope(scopeOf(step));
    const result = runForward(
      step,
      inputs.map((slot) => required(slots[slot], step)),
      run,
    );
    slots[output] = result.output;
    if (keep !== null) keep.shapes[output] = result.output.shape;
    keep?.saved.push(result.saved ?? []);
    for (const slot of keep === null ? freeInference : freeTraining) {
      slots[slot]?.dispose();
      slots[slot] = undefined;
    }
    yield;
  }
  const logits = slots[plan.output];
  if (logits === undefined) throw new Error('internal: the program computed no output');
  return logits;
}

/** Gradients of the parameters by name, the caller's. Disposes of what was kept, and of `dlogits`. */
export function* backward(
  plan: Plan,
  run: Run,
  kept: Kept,
  dlogits: tf.Tensor,
): Generator<void, Map<string, tf.Tensor>> {
  const { slots, saved, shapes } = kept;
  const gradients: Tensors = [];
  gradients[plan.output] = dlogits;
  // Disposed inputs and outputs are not read by the steps that declared so; any tensor serves as their stand-in.
  for (let index = plan.steps.length - 1; index >= 0; index--) {
    const planned = plan.steps[index];
    if (planned === undefined) continue;
    const { step, inputs, output, needs } = planned;
    const dy = gradients[output];
    const ofStep = saved[index] ?? [];
    if (dy !== undefined && needs.includes(true)) {
      enterScope(scopeOf(step));
      for (const position of step.readsInputs) restore(plan, inputs[position] ?? -1, kept);
      const sums = inputs.map((slot, position) => (step.addsTo?.includes(position) ? gradients[slot] : undefined));
      const results = step.backward({
        dy,
        inputs: inputs.map((slot) => slots[slot] ?? dy),
        inputShapes: inputs.map((slot) => shapes[slot] ?? []),
        output: slots[output] ?? dy,
        saved: ofStep,
        needs,
        sums,
        run,
      });
      for (const [position, slot] of inputs.entries()) {
        const gradient = results[position] ?? null;
        if (gradient === null) continue;
        if (!needs[position]) {
          gradient.dispose();
        } else if (sums[position] === undefined) {
          gradients[slot] = accumulate(gradients[slot], gradient);
        } else {
          gradients[slot]?.dispose();
          gradients[slot] = gradient;
        }
      }
    }
    for (const t of ofStep) t.dispose();
    dy?.dispose();
    gradients[output] = undefined;
    slots[output]?.dispose();
    slots[output] = undefined;
    for (const name of plan.completed[index] ?? []) {
      const gradient = gradients[plan.slotOf.get(name) ?? -1];
      if (gradient !== undefined) run.onGradient?.(name, gradient);
    }
    yield;
  }
  const result = new Map<string, tf.Tensor>();
  for (const [name, slot] of plan.slotOf) {
    const gradient = gradients[slot];
    if (gradient !== undefined) result.set(name, gradient);
  }
  return result;
}

/** Computes the output of a step again, if it was not kept. */
function restore(plan: Plan, slot: number, kept: Kept): void {
  const { slots, saved } = kept;
  if (slots[slot] !== undefined) return;
  const index = plan.steps.findIndex(({ output }) => output === slot);
  const { step, inputs } = plan.steps[index] ?? {};
  if (step?.recompute === undefined || inputs === undefined) throw new Error('internal: a value was not kept');
  for (const input of inputs) restore(plan, input, kept);
  slots[slot] = step.recompute(
    inputs.map((input) => required(slots[input], step)),
    saved[index] ?? [],
  );
}

/** What a step is called in profiles: by its weight, else by what it computes. */
function scopeOf({ inputs, output }: Step): string {
  const weight = inputs.map((value) => weightSource(value)?.constant).find((constant) => constant !== undefined);
  return weight === undefined ? output.name : weight.name.replace(/\.[^.]*$/, '');
}

function accumulate(sum: tf.Tensor | undefined, gradient: tf.Tensor): tf.Tensor {
  if (sum === undefined) return gradient;
  const total = tf.add(sum, gradient);
  sum.dispose();
  gradient.dispose();
  return total;
}

function required(t: tf.Tensor | undefined, step: Step): tf.Tensor {
  if (t === undefined) throw new Error(`internal: an input of the step for "${step.output.name}" is not computed`);
  return t;
}

/** @throws {BnnError} E_SHAPE where sizes that the graph leaves open turn out not to fit. */
function runForward(step: Step, inputs: readonly tf.Tensor[], run: Run): ReturnType<Step['forward']> {
  try {
    return step.forward(inputs, run);
  } catch (error) {
    const isOpen = [...step.inputs, step.output].some(({ shape }) => shape === null || shape.includes(null));
    if (!isOpen || !(error instanceof Error) || error instanceof BnnError || isOutOfMemory(error)) throw error;
    const found = inputs.map(({ shape }) => `[${shape.join(', ')}]`).join(' and ');
    throw new BnnError('E_SHAPE', `sizes that the graph leaves open do not fit: ${found}`, {
      at: step.output.producer?.describe(),
      hint: 'a reshape before it mixes pictures',
      cause: error,
    });
  }
}
