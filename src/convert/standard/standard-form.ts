/** The first half of a conversion: a foreign model in standard operators of one version, before anything is recognized. */

import { BnnError } from '../../errors.ts';
import { inferShapes } from '../../graph/infer/infer-shapes.ts';
import type { InferRule } from '../../graph/infer/rule.ts';
import type { Model } from '../../graph/model.ts';
import { verify } from '../../graph/verify.ts';
import { addBnnFunctions, INFER_RULES } from '../../operators/registry.ts';
import { cloneModel } from '../../rewriting/clone-model.ts';
import { RewriteContext } from '../../rewriting/context.ts';
import { OPSET } from '../../rewriting/opset.ts';
import { rewritePass } from '../../rewriting/pass.ts';
import { FOLD_FOREIGN_CONSTANTS } from '../passes/fold-constants.ts';
import { LOWER_BIPOLAR_QUANT, QONNX_DOMAINS } from '../rewrites/foreign/lower-bipolar-quant.ts';
import { LOWER_QUANT } from '../rewrites/foreign/lower-quant.ts';
import { LOWER_TRUNC } from '../rewrites/foreign/lower-trunc.ts';
import { checkOperators } from './check-operators.ts';
import { foldConstantNodes } from './constant-nodes.ts';
import { inlineFunctions } from './inline-functions.ts';
import { normalizeOpset } from './normalize-opset.ts';
import { widenFloats } from './widen-floats.ts';

export interface StandardForm {
  readonly model: Model;
  /** What it computes otherwise than the source, in words. */
  readonly changes: readonly string[];
}

/** The QONNX quantizers give what they are given. */
const QUANTIZER_RULES = QONNX_DOMAINS.flatMap((domain) =>
  ['BipolarQuant', 'Quant', 'IntQuant', 'Trunc'].map((op): [string, InferRule] => [
    `${domain}.${op}`,
    (node) => [{ dtype: node.requiredInput(0).dtype, shape: node.requiredInput(0).shape }],
  ]),
);

const RULES = new Map([...INFER_RULES, ...QUANTIZER_RULES]);

/** The version of the format that came with operator set 17 and with functions. */
const IR_VERSION = 8;

export const LOWER_FOREIGN = rewritePass('lower-foreign', 'Replaces QONNX operators by standard ones.', [
  LOWER_BIPOLAR_QUANT,
  LOWER_QUANT,
  LOWER_TRUNC,
]);

/**
 * The source in standard operators of set 17, computing what it computes: functions inlined, operators of other tools replaced. Any
 * runtime can run it, so it is what a converted model is compared with when the source itself runs nowhere.
 *
 * @throws {BnnError} E_UNSUPPORTED for an operator that nothing here knows, or a version that cannot be brought to set 17.
 */
export function toStandardForm(source: Model, at?: string): StandardForm {
  return trustingTypes((trusts) => standardForm(source, at, trusts));
}

/**
 * Runs with the types that a file declares for its inner values, which tell what inference cannot know; and again without them
 * when they turn out to contradict the operators.
 */
export function trustingTypes<T>(run: (trusts: boolean) => T): T {
  try {
    return run(true);
  } catch (error) {
    // Whatever else goes wrong has nothing to do with types.
    if (!(error instanceof BnnError) || error.code !== 'E_SHAPE') throw error;
    return run(false);
  }
}

export function standardForm(source: Model, at: string | undefined, trustsTypes: boolean): StandardForm {
  const model = cloneModel(source);
  importDomains(model);
  verify(model);
  inlineFunctions(model, at);
  importDomains(model);
  foldConstantNodes(model.graph);
  if (!trustsTypes) forgetTypes(model);
  inferShapes(model, RULES);
  const changes = widenFloats(model.graph);
  // What newer operators compute of constants needs no equivalent.
  if ((model.opsets.get('') ?? OPSET) > OPSET) FOLD_FOREIGN_CONSTANTS.run(model, new RewriteContext(model));
  normalizeOpset(model.graph, model.opsets.get('') ?? OPSET, at);
  model.opsets.set('', OPSET);
  model.irVersion = IR_VERSION;
  inferShapes(model, RULES);
  LOWER_FOREIGN.run(model, new RewriteContext(model));
  checkOperators(model);
  addBnnFunctions(model);
  const used = new Set(Array.from(model.graph.nodes(), ({ domain }) => domain));
  for (const domain of [...model.opsets.keys()]) if (domain !== '' && !used.has(domain)) model.opsets.delete(domain);
  inferShapes(model, RULES);
  return { model, changes };
}

/** Exporters of other tools forget to import their domains, and bodies of functions bring in others. */
function importDomains({ graph, opsets }: Model): void {
  for (const { domain } of graph.nodes()) if (!opsets.has(domain)) opsets.set(domain, 1);
}

function forgetTypes({ graph }: Model): void {
  for (const node of graph.nodes()) {
    if (!RULES.has(node.type)) continue;
    for (const output of node.outputs) {
      output.dtype = null;
      output.shape = null;
    }
  }
}
