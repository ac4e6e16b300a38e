/** Helpers to write the body of a model-local function in standard operators. */

import { unpackSigns } from '../core/numbers/bits.ts';
import { int64s, scalar, type Tensor, tensor } from '../core/tensors/tensor.ts';
import { type Attribute, type Attributes, int, ints, reference, tensorAttribute } from '../graph/attribute.ts';
import { Graph, type Value } from '../graph/graph.ts';
import type { GraphFunction } from '../graph/model.ts';
import { type AttributeSchema, BNN_DOMAIN, type OperatorSchema } from './definition.ts';

/** `TensorProto.DataType` numbers, as the attribute `to` of Cast wants them. */
const CAST_TO_FLOAT32 = 1;
const CAST_TO_INT32 = 6;

/** A body under construction. */
export class FunctionBody {
  readonly #graph: Graph;

  constructor(name: string) {
    this.#graph = new Graph(name);
  }

  input(name: string): Value {
    return this.#graph.addInput(name, { dtype: null, shape: null });
  }

  /** Adds the inputs of a schema; the result gives them by name. */
  inputs(schema: OperatorSchema): (name: string) => Value {
    const values = new Map(schema.inputs.map(({ name }) => [name, this.input(name)]));
    return (name) => {
      const value = values.get(name);
      if (value === undefined) throw new Error(`internal: the schema has no input ${name}`);
      return value;
    };
  }

  /** Adds a standard operator and returns its first output, which is called `output`. */
  op(type: string, inputs: readonly Value[], output: string, attributes: Attributes = {}): Value {
    return this.#graph.addNode(type, inputs, { outputs: [output], attributes }).output;
  }

  /** Functions have no initializers, so a constant is a node. */
  constant(name: string, value: Tensor): Value {
    return this.op('Constant', [], name, { value: tensorAttribute(value) });
  }

  /** An integer attribute of the calling node as int64[1]. */
  attributeAsVector(attribute: string): Value {
    const value = this.op('Constant', [], `${attribute}_scalar`, { value_int: reference(attribute, 'int') });
    return this.op('Reshape', [value, this.constant(`${attribute}_shape`, int64s([1]))], attribute);
  }

  /** Ends the body: its outputs, its attributes. */
  finish(outputs: readonly Value[], attributes: readonly AttributeSchema[]): GraphFunction {
    for (const output of outputs) this.#graph.addOutput(output);
    return {
      domain: BNN_DOMAIN,
      name: this.#graph.name,
      body: this.#graph,
      attributes: attributes.map(({ name }) => name),
      opsets: new Map([['', 17]]),
    };
  }
}

/** +1 where x ≥ threshold (0 by default), else −1, as in `core/numbers/bits.ts`; NaN compares false and so gives −1. */
export function signOfData(body: FunctionBody, x: Value, output: string, threshold?: Value): Value {
  const least = threshold ?? body.constant(`${output}_zero`, scalar(0));
  const isPlus = body.op('GreaterOrEqual', [x, least], `${output}_is_plus`);
  const [plus, minus] = [body.constant(`${output}_plus`, scalar(1)), body.constant(`${output}_minus`, scalar(-1))];
  return body.op('Where', [isPlus, plus, minus], output);
}

/** int8[256, 8]: row v holds the eight signs of the byte v. */
function byteTable(): Tensor {
  const bytes = Uint8Array.from({ length: 256 }, (_, value) => value);
  return tensor('int8', [256, 8], Int8Array.from(unpackSigns(bytes, 8)));
}

/**
 * f32 weights of ±1 from packed ones. A table look-up rather than shifts: BitShift is missing in some execution providers, and
 * this form is constant-folded when a session loads.
 *
 * @param rank         of the packed weights; the last dimension holds the bits and is cut to the attribute `channels`.
 * @param permutation  from the packed layout to the one that the consumer wants.
 */
export function unpackedWeights(
  body: FunctionBody,
  packed: Value,
  rank: number,
  permutation: readonly number[],
): Value {
  const index = body.op('Cast', [packed], 'w_index', { to: int(CAST_TO_INT32) });
  const table = body.constant('byte_signs', byteTable());
  const signs = body.op('Gather', [table, index], 'w_signs', { axis: int(0) });
  const floats = body.op('Cast', [signs], 'w_floats', { to: int(CAST_TO_FLOAT32) });
  const rowShape = body.constant('row_shape', int64s([...Array<number>(rank - 1).fill(0), -1]));
  const rows = body.op('Reshape', [floats, rowShape], 'w_rows');
  const begin = body.constant('begin', int64s([0]));
  const axis = body.constant('channel_axis', int64s([rank - 1]));
  const cut = body.op('Slice', [rows, begin, body.attributeAsVector('channels'), axis], 'w_cut');
  return body.op('Transpose', [cut], 'weights', { perm: ints(permutation) });
}

/** References to attributes of the calling node, for a node of the body that takes them under the same names. */
export function passThrough(attributes: readonly AttributeSchema[]): Attributes {
  return Object.fromEntries(attributes.map(({ name, kind }): [string, Attribute] => [name, reference(name, kind)]));
}
