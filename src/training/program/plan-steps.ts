/** Where the steps of a program keep their values, how long, and where gradients flow. */

import type { Value } from '../../graph/graph.ts';
import type { StepLifetimes } from '../learning/step-memory.ts';
import type { Step } from '../steps/step.ts';
import type { ParameterInfo } from './parameters.ts';

/** Numbers of the values of a graph, in the order in which they are asked for first. */
export class Slots {
  readonly #slots = new Map<Value, number>();

  of(value: Value): number {
    const known = this.#slots.get(value);
    if (known !== undefined) return known;
    const slot = this.#slots.size;
    this.#slots.set(value, slot);
    return slot;
  }
}

export interface Plan {
  readonly steps: readonly StepLifetimes[];
  readonly input: number;
  readonly output: number;
  /** Of each parameter by its name. */
  readonly slotOf: ReadonlyMap<string, number>;
  /** Names of the parameters whose gradient is complete after the backward pass of a step, by its position. */
  readonly completed: readonly (readonly string[])[];
}

/** @param keepsAll  whether values that could be computed again stay for the backward pass. */
export function planSteps(
  steps: readonly Step[],
  slots: Slots,
  found: ReadonlyMap<Value, ParameterInfo>,
  { input, output, keepsAll }: { readonly input: Value; readonly output: Value; readonly keepsAll: boolean },
): Plan {
  const planned = lifetimesOf(steps, slots, found, output, keepsAll);
  const slotOf = new Map([...found].map(([value, { name }]) => [name, slots.of(value)]));
  return {
    steps: planned,
    input: slots.of(input),
    output: slots.of(output),
    slotOf,
    completed: completionsOf(planned, slotOf),
  };
}

function lifetimesOf(
  steps: readonly Step[],
  slots: Slots,
  found: ReadonlyMap<Value, ParameterInfo>,
  output: Value,
  keepsAll: boolean,
): StepLifetimes[] {
  const differentiable = new Set<Value>();
  for (const [value, info] of found) if (info.role !== 'buffer') differentiable.add(value);
  const lastRead = new Map<number, number>();
  const readByBackward = new Set<number>();
  const computed = new Set<number>();
  const recomputable = new Set<number>();
  const planned = steps.map((step, index) => {
    const needs = step.inputs.map((value) => differentiable.has(value));
    const inputs = step.inputs.map((value) => slots.of(value));
    const slot = slots.of(step.output);
    computed.add(slot);
    if (step.recompute !== undefined && !keepsAll) recomputable.add(slot);
    lastRead.set(slot, index);
    for (const input of inputs) lastRead.set(input, index);
    if (needs.includes(true)) {
      differentiable.add(step.output);
      for (const position of step.readsInputs) readByBackward.add(inputs[position] ?? -1);
      if (step.readsOutput) readByBackward.add(slot);
    }
    return { step, inputs, output: slot, needs };
  });
  const result = slots.of(output);
  const free = planned.map((): { inference: number[]; training: number[] } => ({ inference: [], training: [] }));
  for (const [slot, index] of lastRead) {
    if (!computed.has(slot) || slot === result) continue;
    free[index]?.inference.push(slot);
    if (!readByBackward.has(slot) || recomputable.has(slot)) free[index]?.training.push(slot);
  }
  return planned.map((step, index) => ({
    ...step,
    freeInference: free[index]?.inference ?? [],
    freeTraining: free[index]?.training ?? [],
  }));
}

/** A parameter's gradient is complete when the first of the steps that read it is done, which comes last. */
function completionsOf(steps: readonly StepLifetimes[], slotOf: ReadonlyMap<string, number>): string[][] {
  const completed: string[][] = steps.map(() => []);
  for (const [name, slot] of slotOf) {
    const first = steps.findIndex(({ inputs, needs }) => needs[inputs.indexOf(slot)] === true);
    completed[first]?.push(name);
  }
  return completed;
}
