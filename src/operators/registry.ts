/** All operators of the `bnn` domain, by name, and the model-local functions that make a file run on a stock runtime. */

import type { Tensor } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import type { Attributes } from '../graph/attribute.ts';
import { broadcasting, likeInput, toBool } from '../graph/infer/elementwise.ts';
import type { InferRules } from '../graph/infer/rule.ts';
import { STANDARD_RULES } from '../graph/infer/standard-rules.ts';
import type { GraphFunction, Model } from '../graph/model.ts';
import { BINARY_CONV } from './binary-conv.ts';
import { BINARY_GEMM } from './binary-gemm.ts';
import { BNN_DOMAIN, BNN_VERSION, type OperatorDefinition } from './definition.ts';
import { OPERATOR_FACTS } from './operator-facts.ts';
import { SIGN } from './sign.ts';

/** Definitions by operator name (without the domain). */
export const BNN_OPERATORS: ReadonlyMap<string, OperatorDefinition> = new Map(
  [SIGN, ...BINARY_CONV, ...BINARY_GEMM].map((definition) => [definition.name, definition]),
);

/** Shape rules by node type, `bnn.Sign` and so on. */
export const BNN_RULES: InferRules = new Map(
  [...BNN_OPERATORS.values()].map(({ name, infer }) => [`${BNN_DOMAIN}.${name}`, infer]),
);

function definitionOf(name: string): OperatorDefinition {
  const definition = BNN_OPERATORS.get(name);
  if (definition === undefined) {
    throw new BnnError('E_UNSUPPORTED', `there is no operator ${BNN_DOMAIN}.${name}`, {
      hint: `the operators are ${[...BNN_OPERATORS.keys()].join(', ')}`,
    });
  }
  return definition;
}

/** Of operators that work element by element, the shapes follow from that. */
const ELEMENTWISE_RULES: InferRules = new Map(
  Array.from(OPERATOR_FACTS).flatMap(([type, { elementwise, isPredicate = false }]) => {
    if (elementwise === undefined) return [];
    const rule = isPredicate ? toBool : likeInput;
    return [[type, elementwise === 'one' ? rule : broadcasting(isPredicate ? 'bool' : undefined)]];
  }),
);

/** Rules for standard and `bnn` operators, and for whatever `operator-facts.ts` says of others. */
export const INFER_RULES: InferRules = new Map([...ELEMENTWISE_RULES, ...STANDARD_RULES, ...BNN_RULES]);

/** The bodies are valid in every version of the standard operators from this one on (Unsqueeze takes its axes as an input). */
const FIRST_OPSET_OF_BODIES = 13;

/**
 * The model-local function of an operator, freshly built.
 *
 * @param opset  version of the standard operators that the calling model imports: `onnx.checker` wants the two to agree, and
 *   onnxruntime reads the body as of the model's version.
 * @throws {BnnError} E_UNSUPPORTED when there is no such operator, or the version is older than 13.
 */
export function bnnFunction(name: string, opset = 17): GraphFunction {
  const definition = definitionOf(name);
  if (opset < FIRST_OPSET_OF_BODIES) {
    throw new BnnError(
      'E_UNSUPPORTED',
      `the model imports version ${opset} of the standard operators, ${BNN_DOMAIN}.${name} needs ${FIRST_OPSET_OF_BODIES} or later`,
      { hint: 'convert the model to opset 17 first, e.g. with onnx.version_converter' },
    );
  }
  return { ...definition.body(), opsets: new Map([['', opset]]) };
}

/** The first version of the file format that knows model-local functions. */
const FIRST_IR_WITH_FUNCTIONS = 8;

/**
 * Gives a model exactly the `bnn` functions that its graph and its other functions call, and the import of the domain; both
 * are removed when nothing calls them. The calling nodes get the attributes that the bodies refer to. Functions of other domains stay. An older IR version is raised to the first with functions.
 *
 * @throws {BnnError} E_UNSUPPORTED when the model calls a `bnn` operator that does not exist, or imports standard operators that
 *   are too old for the bodies; E_FORMAT when the weights of a convolution have no known shape.
 */
export function addBnnFunctions(model: Model): void {
  const others = model.functions.filter(({ domain }) => domain !== BNN_DOMAIN);
  const used = new Set<string>();
  for (const graph of [model.graph, ...others.map(({ body }) => body)]) {
    for (const node of graph.nodes()) {
      if (node.domain !== BNN_DOMAIN) continue;
      used.add(node.op);
      node.attributes = { ...node.attributes, ...definitionOf(node.op).bodyAttributes?.(node) };
    }
  }
  const opset = model.opsets.get('') ?? 17;
  const functions = [...BNN_OPERATORS.keys()].filter((name) => used.has(name)).map((name) => bnnFunction(name, opset));
  model.functions.splice(0, model.functions.length, ...functions, ...others);
  if (used.size === 0) {
    model.opsets.delete(BNN_DOMAIN);
    return;
  }
  model.opsets.set('', opset);
  model.opsets.set(BNN_DOMAIN, BNN_VERSION);
  model.irVersion = Math.max(model.irVersion, FIRST_IR_WITH_FUNCTIONS);
}

/**
 * Runs the plain reference implementation of an operator.
 *
 * @throws {BnnError} E_UNSUPPORTED, E_SHAPE or E_FORMAT when operator, inputs or attributes do not fit.
 */
export function evaluateReference(
  name: string,
  inputs: readonly Tensor[],
  attributes: Attributes = {},
): Tensor<'float32'> {
  return definitionOf(name).reference(inputs, attributes);
}
