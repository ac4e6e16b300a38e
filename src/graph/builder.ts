/** Builds a model node by node, in execution order. */

import type { Dtype, Tensor } from '../core/tensors/tensor.ts';
import type { Attributes } from './attribute.ts';
import type { Shape, Value } from './graph.ts';
import { Model } from './model.ts';

export class Builder {
  readonly model: Model;

  /** @param name  of the graph. */
  constructor(name: string) {
    this.model = new Model();
    this.model.graph.name = name;
  }

  input(name: string, dtype: Dtype, shape: Shape): Value {
    return this.model.graph.addInput(name, { dtype, shape });
  }

  constant(name: string, data: Tensor): Value {
    return this.model.graph.addConstant(name, data);
  }

  /**
   * Adds a node with one output.
   *
   * @param type    as in `Node.type`: `Conv`, `bnn.Sign`; the domain must have an operator set version in the model.
   * @param name    of the node, and of its output unless that is taken or `output` is given.
   * @param output  name of the output value, which must be free.
   * @returns       the output.
   */
  op(type: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, name = '', output?: string): Value {
    const dot = type.lastIndexOf('.');
    const node = this.model.graph.addNode(type.slice(dot + 1), inputs, {
      domain: type.slice(0, Math.max(dot, 0)),
      name,
      attributes,
      ...(output === undefined ? {} : { outputs: [output] }),
    });
    return node.output;
  }

  output(value: Value, dtype: Dtype, shape: Shape): void {
    value.dtype = dtype;
    value.shape = shape;
    this.model.graph.addOutput(value);
  }
}
