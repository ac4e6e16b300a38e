/**
 * What a recorded step does when it is run again: the state is read and written in one place, where it was before the step. Results that
 * the next step takes over are written there at once where nothing reads the old values any longer (an optimizer's, in place), and copied at
 * the end otherwise.
 */

import type { RecordedArgument } from './addon.ts';
import { type AddonWork, arraysOf, type HostWork, type TensorUse, type Values, type Work } from './step-tape.ts';

/** A part of the state. */
export interface StatePart {
  /** Where it is before and after each run. */
  readonly home: Float32Array;
  /** Where the recorded step left its new value. */
  readonly written: Float32Array;
}

/** Calls of the addon that may write where they read, element by element. */
const IN_PLACE = new Set([
  ...['binary', 'unary', 'clip', 'clipGrad', 'signGradSte', 'signGradTable', 'signGradReste'],
  ...['sgdMomentum', 'adam', 'moveAverage'],
]);

interface Uses {
  readonly first: number;
  readonly last: number;
}

function usesOf(work: readonly Work[]): Map<Values, Uses> {
  const uses = new Map<Values, Uses>();
  for (const [i, item] of work.entries()) {
    for (const values of arraysOf(item)) uses.set(values, { first: uses.get(values)?.first ?? i, last: i });
  }
  return uses;
}

/** Whether `written` can be `home` from the start. */
function isInPlace(work: readonly Work[], uses: ReadonlyMap<Values, Uses>, { home, written }: StatePart): boolean {
  const writing = uses.get(written)?.first;
  if (writing === undefined) return false;
  const lastRead = uses.get(home)?.last ?? -1;
  if (lastRead !== writing) return lastRead < writing;
  const item = work[writing];
  return item?.kind === 'host' || (item !== undefined && IN_PLACE.has(item.name));
}

/** One row of all elements. */
function copy(from: Float32Array, to: Float32Array): AddonWork {
  const plan = Int32Array.of(1, 1, 1, from.length, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0);
  return { kind: 'addon', name: 'stridedCopy', args: [from, to, plan], scope: 'optimizer' };
}

export interface StepPlan {
  readonly work: readonly Work[];
  /** What stands in place of an array of the recorded step. */
  readonly placeOf: (values: Values) => Values;
}

export function planStep(recorded: readonly Work[], state: readonly StatePart[]): StepPlan {
  const uses = usesOf(recorded);
  const places = new Map<Values, Values>();
  const copies: AddonWork[] = [];
  for (const part of state) {
    if (isInPlace(recorded, uses, part)) places.set(part.written, part.home);
    else copies.push(copy(part.written, part.home));
  }
  const placeOf = (values: Values): Values => places.get(values) ?? values;
  const argument = (arg: RecordedArgument): RecordedArgument =>
    arg instanceof Float32Array ? (placeOf(arg) as Float32Array) : arg;
  const use = (it: TensorUse): TensorUse => ({ ...it, values: placeOf(it.values) });
  const hostInputs = (inputs: HostWork['inputs']): HostWork['inputs'] =>
    Array.isArray(inputs)
      ? inputs.map(use)
      : Object.fromEntries(Object.entries(inputs as Record<string, TensorUse>).map(([name, it]) => [name, use(it)]));
  const moved = recorded.map(
    (item): Work =>
      item.kind === 'addon'
        ? { ...item, args: item.args.map(argument) }
        : { ...item, inputs: hostInputs(item.inputs), outputs: item.outputs.map(placeOf) },
  );
  return { work: [...moved, ...copies], placeOf };
}
