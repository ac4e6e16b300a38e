/** What a native backend did in a step: calls of the addon, and kernels of tfjs-backend-cpu, which run in JavaScript. */

import type * as tf from '@tensorflow/tfjs-core';
import { currentScope } from '../../kernels/layer-scope.ts';
import type { NativeAddon, RecordedArgument } from './addon.ts';
import type { NativeBackend } from './backend.ts';
import type { BackendTap, InheritedCall, KernelResult } from './tap.ts';

/** Elements of a tensor. */
export type Values = Float32Array | Int32Array | Uint8Array;

export interface TensorUse {
  readonly values: Values;
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
}

/** An array of data, which may be gone after the step; the data of a run have as many elements. */
export interface StepInput {
  readonly values: Values;
  readonly length: number;
}

export interface AddonWork {
  readonly kind: 'addon';
  readonly name: string;
  readonly args: readonly RecordedArgument[];
  /** The layer that it is for. */
  readonly scope: string;
}

export interface HostWork {
  readonly kind: 'host';
  readonly kernel: tf.KernelConfig;
  /** In the form that the kernel takes them: by name, or as a list. */
  readonly inputs: Readonly<Record<string, TensorUse>> | readonly TensorUse[];
  readonly attrs: tf.NamedAttrMap | undefined;
  readonly outputs: readonly Values[];
  readonly scope: string;
}

export type Work = AddonWork | HostWork;

/** Places of `StepNumbers` in what a run is given. */
export const NUMBERS = { lr: 0, step: 1 } as const;
/** Arguments that are such numbers. */
const VARYING: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  sgdMomentum: { 5: NUMBERS.lr },
  adam: { 7: NUMBERS.lr, 12: NUMBERS.step },
};

/** Arrays that some work reads or writes. */
export function arraysOf(work: Work): Values[] {
  if (work.kind === 'addon') return work.args.filter((arg) => arg instanceof Float32Array);
  return [...Object.values(work.inputs as Record<string, TensorUse>).map(({ values }) => values), ...work.outputs];
}

export class StepTape implements BackendTap {
  readonly addon: NativeAddon;
  readonly work: Work[] = [];
  readonly inputs: StepInput[] = [];
  /** Arrays of the state that nobody needs any longer. */
  readonly left = new Set<Float32Array>();
  /** Arrays that were allocated. */
  readonly allocated: Float32Array[] = [];
  /** Those that are in use. */
  readonly living = new Set<Float32Array>();
  /** Why it cannot be run again; empty where it can. */
  problem = '';
  readonly #backend: NativeBackend;
  readonly #state: ReadonlySet<object>;
  /** All that differs from step to step. */
  readonly #varying = new Set<object>();
  readonly #made = new Set<object>();
  /** Some kernels of tfjs read tensors as the host does. */
  #isInKernel = false;
  readonly #constants = new Map<Float32Array, Float32Array>();

  /** @param state  arrays that the step replaces. */
  constructor(backend: NativeBackend, state: Iterable<Values>) {
    this.#backend = backend;
    this.#state = new Set(state);
    for (const values of this.#state) this.#varying.add(values);
    this.addon = this.#listening(backend.addon);
  }

  /** Whether the step made what is in an array. */
  makes(values: object): boolean {
    return this.#made.has(values);
  }

  input<T extends tf.Tensor>(t: T): T {
    const values = this.#backend.valuesOf(t);
    if (values === undefined) this.problem ||= 'data that are no numbers';
    else {
      this.inputs.push({ values, length: values.length });
      this.#varying.add(values);
    }
    return t;
  }

  allocates(values: Float32Array): void {
    this.allocated.push(values);
    this.#made.add(values);
    this.#varying.add(values);
    this.living.add(values);
  }

  keeps(values: Float32Array): boolean {
    this.living.delete(values);
    if (!this.#state.has(values)) return false;
    this.left.add(values);
    return true;
  }

  read(values: object): void {
    if (!this.#isInKernel && this.#varying.has(values)) this.problem ||= 'the host reads what is computed';
  }

  inherited(kernel: tf.KernelConfig, call: InheritedCall): KernelResult {
    this.#isInKernel = true;
    const result = kernel.kernelFunc(call);
    this.#isInKernel = false;
    const given = Object.entries(call.inputs as Record<string, tf.TensorInfo | undefined>);
    const uses = given.map(([name, tensor]) => [name, tensor && this.#use(tensor)] as const);
    if (!uses.some(([, use]) => use !== undefined && this.#varying.has(use.values))) return result;
    const made = [result].flat();
    const isView = made.every(({ dataId }) => given.some(([, tensor]) => tensor?.dataId === dataId));
    if (isView) return result;
    const outputs = made.map((tensor) =>
      this.#unshared(
        tensor,
        uses.flatMap(([, use]) => use ?? []),
      ),
    );
    if (uses.some(([, use]) => use === undefined) || outputs.includes(undefined)) {
      this.problem ||= `${kernel.kernelName} of what is no tensor of numbers`;
      return result;
    }
    for (const values of outputs as Values[]) {
      this.#made.add(values);
      this.#varying.add(values);
    }
    this.work.push({
      kind: 'host',
      kernel,
      inputs: Array.isArray(call.inputs)
        ? uses.map(([, use]) => use as TensorUse)
        : (Object.fromEntries(uses) as Record<string, TensorUse>),
      attrs: call.attrs,
      outputs: outputs as Values[],
      scope: currentScope(),
    });
    return result;
  }

  /** Elements that are not an input's: some kernels return a view, which would change with it. */
  #unshared(tensor: tf.TensorInfo, inputs: readonly TensorUse[]): Values | undefined {
    const values = this.#backend.valuesOf(tensor);
    if (values === undefined || !inputs.some((input) => input.values.buffer === values.buffer)) return values;
    const copy = values.slice();
    this.#backend.relocate(tensor, copy);
    return copy;
  }

  #use(tensor: tf.TensorInfo): TensorUse | undefined {
    const values = this.#backend.valuesOf(tensor);
    return values && { values: this.#lasting(values), shape: tensor.shape, dtype: tensor.dtype };
  }

  /** The addon, with each call that computes something written down. */
  #listening(addon: NativeAddon): NativeAddon {
    type Listened = (...args: RecordedArgument[]) => unknown;
    const functions = Object.entries(addon).map(([name, call]): [string, Listened] => [
      name,
      (...args) => {
        const result = (call as Listened)(...args);
        if (args.some((arg) => arg instanceof Float32Array)) this.#note(name, args, result);
        return result;
      },
    ]);
    return Object.fromEntries(functions) as unknown as NativeAddon;
  }

  #note(name: string, given: readonly RecordedArgument[], result: unknown): void {
    if (result !== undefined) this.problem ||= `${name} returns a number`;
    const varying = VARYING[name] ?? {};
    const args = given.map((arg, i) => {
      const number = varying[i];
      if (number !== undefined) return { number };
      return arg instanceof Float32Array ? this.#lasting(arg) : arg;
    });
    this.work.push({ kind: 'addon', name, args, scope: currentScope() });
  }

  /** An array that stays as it is as long as the recording: pooled memory from before the step may become another tensor's. */
  #lasting<V extends Values>(values: V): V {
    if (!(values instanceof Float32Array) || this.#varying.has(values) || !this.#backend.owns(values)) return values;
    const copy = this.#constants.get(values) ?? values.slice();
    this.#constants.set(values, copy);
    return copy as V;
  }
}
