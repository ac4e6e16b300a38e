/** What an operator sees while a plan is made, and leaves behind: a step that runs it. */

import type { Dtype, Tensor } from '../core/tensors/tensor.ts';
import type { Node } from '../graph/graph.ts';
import type { Engine, Pointer } from './engine-module.ts';
import type { Layer, LayerShape } from './layer.ts';

/** An input of a node: numbers that are known, or floats in the memory of the plan. Other dtypes are kept as floats too. */
export interface Operand {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** Null when it is computed. */
  readonly constant: Tensor | null;
  /** Where it lies while a step runs. The first call may copy a constant in: `StepContext.input` has done so. */
  pointer(): Pointer;
}

export interface StepContext {
  readonly engine: Engine;
  readonly node: Node;
  /** For messages. */
  readonly at: string;
  /** Version of the operator set of the node's domain. */
  readonly opset: number;
  /** Null for an optional input that is absent. */
  readonly inputs: readonly (Operand | null)[];
  /**
   * The i-th input, of which a constant need not be in memory.
   *
   * @throws {BnnError} E_FORMAT when it is absent.
   */
  operand(index: number): Operand;
  /** The same, in memory: memory that grew while a step runs would take the views away that the step has. */
  input(index: number): Operand;
  /** A constant input, or undefined when it is absent; E_UNSUPPORTED when it is computed. */
  constant(index: number): Tensor | undefined;
  /** Inferred shape of the output. */
  readonly shape: readonly number[];
  /** Room for the output of the node. */
  output(): { pointer(): Pointer };
  /** Makes the output another view of an input. */
  view(index: number): void;
  /** Adds what runs the node. */
  run(step: () => void): void;
  /** The layer of this node, made once for all plans in which it has this shape and the same constants. */
  layer(shape: LayerShape, make: (shape: LayerShape) => Layer): Layer;
  /** Numbers that follow from constants of this node, in the module's memory for all plans in which those are the same. */
  keep(name: string, make: () => Float32Array): Pointer;
  /** Numbers of this plan. */
  keepInts(values: readonly number[]): Pointer;
}

/** Adds the step of a node to a plan. */
export type Operator = (context: StepContext) => void;
