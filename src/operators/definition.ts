/** What an operator of the `bnn` domain consists of: schema, shape rule, meaning in standard operators, plain reference. */

import type { Dtype, Tensor } from '../core/tensors/tensor.ts';
import type { AttributeKind, Attributes } from '../graph/attribute.ts';
import type { Node } from '../graph/graph.ts';
import type { InferRule } from '../graph/infer/rule.ts';
import type { GraphFunction } from '../graph/model.ts';

/** The domain of this project's operators and the version of the set that this release defines. */
export const BNN_DOMAIN = 'bnn';
export const BNN_VERSION = 1;

export interface InputSchema {
  readonly name: string;
  readonly dtype: Dtype;
  /** Sizes in words, e.g. `[N, C, H, W]`. */
  readonly shape: string;
  readonly doc: string;
}

export interface AttributeSchema {
  readonly name: string;
  readonly kind: AttributeKind;
  readonly doc: string;
}

export interface OperatorSchema {
  readonly doc: string;
  readonly inputs: readonly InputSchema[];
  readonly output: InputSchema;
  /** Every attribute is required: a model-local function has no defaults before IR version 9. */
  readonly attributes: readonly AttributeSchema[];
}

export interface OperatorDefinition {
  readonly name: string;
  readonly schema: OperatorSchema;
  readonly infer: InferRule;
  /** Builds the model-local function: the operator in standard operators of opset 17. */
  readonly body: () => GraphFunction;
  /** The attributes that no kernel reads, only the body, as they are for a node. */
  readonly bodyAttributes?: (node: Node) => Attributes;
  /**
   * The meaning, slow and plain. Sums are exact or float64; the result is rounded to float32 once.
   *
   * @throws {BnnError} E_SHAPE or E_FORMAT when inputs or attributes do not fit.
   */
  readonly reference: (inputs: readonly Tensor[], attributes: Attributes) => Tensor<'float32'>;
}
