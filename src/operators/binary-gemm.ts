/**
 * Dense layers with weights of one bit: `BinaryGemm` (data binarized too), `BinaryWeightGemm` (data as they are), and their
 * variants.   acc[m, n] = Σ_k d[m, k] · w[n, k],   d = Sign(x) or x
 */

import { packedBytes, signOf, unpackSigns } from '../core/numbers/bits.ts';
import { tensor } from '../core/tensors/tensor.ts';
import type { Attributes } from '../graph/attribute.ts';
import type { Node, ValueType } from '../graph/graph.ts';
import type { GraphFunction } from '../graph/model.ts';
import type { AttributeSchema, OperatorDefinition, OperatorSchema } from './definition.ts';
import { afterBias, epilogueInputs, epilogueReference, epilogueSizes, layerDoc } from './epilogue.ts';
import { FunctionBody, signOfData, unpackedWeights } from './function-body.ts';
import { expectInputs, floatData, inputsByName, requiredPositiveInt } from './layer-schema.ts';
import { type LayerVariant, variantsOf } from './variants.ts';

const GEMM_ATTRIBUTES: readonly AttributeSchema[] = [
  { name: 'channels', kind: 'int', doc: 'K, the length of a row of x: bits per row of w' },
];

function inferGemm(schema: OperatorSchema, attributes: Attributes, types: readonly ValueType[], at: string): ValueType {
  const channels = requiredPositiveInt(attributes, 'channels', at);
  const rows = types[0]?.shape?.[0] ?? null;
  const outputs = types[1]?.shape?.[0] ?? null;
  const result = [rows, outputs];
  const sizes = { x: [null, channels], w: [null, packedBytes(channels)], ...epilogueSizes(outputs, result) };
  expectInputs(schema, types, sizes, at);
  return { dtype: 'float32', shape: result };
}

function gemmBody(name: string, variant: LayerVariant, schema: OperatorSchema): GraphFunction {
  const body = new FunctionBody(name);
  const input = body.inputs(schema);
  const data = variant.weightOnly ? input('x') : signOfData(body, input('x'), 'signs');
  const acc = body.op('MatMul', [data, unpackedWeights(body, input('w'), 2, [1, 0])], 'acc');
  if (variant.sign) return body.finish([signOfData(body, acc, 'y', input('acc_threshold'))], schema.attributes);
  const active = variant.relu ? body.op('Relu', [acc], 'active') : acc;
  // The scale stands first on purpose: as the second operand onnxruntime multiplies it into the ±1 weights, and the
  // accumulators are no longer integers.
  const scaled = body.op('Mul', [input('scale'), active], 'scaled');
  const biased = body.op('Add', [scaled, input('bias')], variant.add || variant.prelu ? 'biased' : 'y');
  return body.finish([afterBias(body, variant, biased, () => input('residual'), input)], schema.attributes);
}

function gemmReference(schema: OperatorSchema, variant: LayerVariant, at: string): OperatorDefinition['reference'] {
  return (inputs, attributes) => {
    const { shape } = inferGemm(schema, attributes, inputs, at);
    const [rows = 0, outputs = 0] = (shape ?? []).map(Number);
    const channels = requiredPositiveInt(attributes, 'channels', at);
    const [x, w] = inputs;
    const data = variant.weightOnly ? floatData(x, 'x', at) : floatData(x, 'x', at).map(signOf);
    const weights = unpackSigns((w?.data ?? new Uint8Array()) as Uint8Array, channels);
    const finish = epilogueReference(variant, inputsByName(schema, inputs), at);
    const y = new Float32Array(rows * outputs);
    for (let m = 0; m < rows; m++) {
      for (let n = 0; n < outputs; n++) {
        let acc = 0;
        for (let k = 0; k < channels; k++) acc += (data[m * channels + k] ?? 0) * (weights[n * channels + k] ?? 0);
        const index = m * outputs + n;
        y[index] = finish(acc, n, index);
      }
    }
    return tensor('float32', [rows, outputs], y);
  };
}

function defineGemm(name: string, variant: LayerVariant): OperatorDefinition {
  const schema: OperatorSchema = {
    doc: layerDoc(variant, variant.weightOnly ? 'x · unpack(w)ᵀ' : 'Sign(x) · unpack(w)ᵀ, an integer'),
    inputs: [
      { name: 'x', dtype: 'float32', shape: '[M, K]', doc: variant.weightOnly ? 'data' : 'binarized inside' },
      { name: 'w', dtype: 'uint8', shape: '[O, ⌈K/8⌉]', doc: 'packed signs' },
      ...epilogueInputs(variant, '[M, O]'),
    ],
    output: { name: 'y', dtype: 'float32', shape: '[M, O]', doc: 'result' },
    attributes: GEMM_ATTRIBUTES,
  };
  return {
    name,
    schema,
    infer: (node: Node) => {
      const types = schema.inputs.map((_, i) => node.requiredInput(i));
      return [inferGemm(schema, node.attributes, types, node.describe())];
    },
    body: () => gemmBody(name, variant, schema),
    reference: gemmReference(schema, variant, `bnn.${name}`),
  };
}

/** `BinaryGemm`, `BinaryWeightGemm` and their variants. */
export const BINARY_GEMM: readonly OperatorDefinition[] = [...variantsOf('Gemm')].map(([name, variant]) =>
  defineGemm(name, variant),
);
