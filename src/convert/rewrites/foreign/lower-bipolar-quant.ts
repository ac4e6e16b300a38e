/** QONNX `BipolarQuant(x, scale)` is scale · (+1 where x ≥ 0, else −1). */

import { addOp, numbersOf } from '../../../rewriting/add-op.ts';
import { defineRewrite } from '../../../rewriting/rewrite.ts';

/** The names under which the QONNX operators were published. */
export const QONNX_DOMAINS: readonly string[] = [
  'onnx.brevitas',
  'qonnx.custom_op.general',
  'finn.custom_op.general',
  'qonnx.custom_op.channels_last',
];

export const LOWER_BIPOLAR_QUANT = defineRewrite({
  name: 'lower-bipolar-quant',
  doc: {
    before: 'BipolarQuant(x, scale)',
    after: 'bnn.Sign(x) · scale',
    requires: 'nothing',
    exactness: 'bit-exact',
  },
  roots: QONNX_DOMAINS.map((domain) => `${domain}.BipolarQuant`),
  match: (root) => ({ x: root.requiredInput(0), scale: root.requiredInput(1) }),
  apply: (root, { x, scale }, { graph }) => {
    const signs = addOp(graph, 'bnn.Sign', [x], root, { name: root.name });
    return numbersOf(scale)?.every((s) => s === 1) === true ? signs : addOp(graph, 'Mul', [signs, scale], root);
  },
});
