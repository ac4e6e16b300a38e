/** Refuses operators that neither onnxruntime nor this project knows. */

import { BnnError } from '../../errors.ts';
import type { Node } from '../../graph/graph.ts';
import type { Model } from '../../graph/model.ts';

/** Domains whose operators a stock onnxruntime runs, and our own. */
const RUNNABLE: ReadonlySet<string> = new Set(['', 'bnn', 'ai.onnx.ml', 'com.microsoft']);

/** What an operator of other tools would need, where that is known. */
const NEEDED: ReadonlyMap<string, string> = new Map(
  Object.entries<string>({
    BipolarQuant: 'a scale as second input',
    IntQuant: 'one constant bit width and the rounding mode ROUND, CEIL or FLOOR',
    FloatQuant: 'a rewrite into standard operators; this quantizer rounds to small floats',
    Im2Col: 'the convolution before it was lowered for hardware: convert the model from before FINN changed it',
    LceBconv2d: 'the Keras model: Larq Compute Engine files hold packed weights of its own layout',
    MultiThreshold:
      'a rewrite of its thresholds into comparisons (one threshold per channel is a sign); or the QONNX model from before FINN changed it, which has BipolarQuant instead',
    Quant: 'one constant bit width and the rounding mode ROUND, CEIL or FLOOR',
    Trunc: 'constant scales and bit widths, and the rounding mode FLOOR, ROUND or CEIL',
    XnorPopcountMatMul: 'the MatMul that FINN replaced: convert the model from before',
  }),
);

/** @throws {BnnError} E_UNSUPPORTED naming operator, domain and node, with what would be needed. */
export function checkOperators(model: Model): void {
  for (const node of model.graph.nodes()) {
    if (node.domain === 'bnn' && node.op !== 'Sign') {
      throw new BnnError('E_UNSUPPORTED', `the model is in packed form already: it has ${node.describe()}`, {
        hint: 'give the file that it was made from',
      });
    }
    if (RUNNABLE.has(node.domain) || model.findFunction(node.domain, node.op) !== undefined) continue;
    throw refusal(node);
  }
}

function refusal(node: Node): BnnError {
  const needed =
    NEEDED.get(node.op) ?? 'its definition as a model-local function, or an export that uses standard operators';
  return new BnnError(
    'E_UNSUPPORTED',
    `operator ${node.op} of domain "${node.domain}" is not known: onnxruntime cannot run it, and there is no rewrite for it`,
    { at: node.describe(), hint: `needed: ${needed}` },
  );
}
