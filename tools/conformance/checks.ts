/** What of this project knows an operator of the standard, put to the standard's own tests. */

import * as tf from '@tensorflow/tfjs-core';
import { type Tensor, toNumbers } from '../../src/core/tensors/tensor.ts';
import { BnnError } from '../../src/errors.ts';
import { createSte } from '../../src/estimators/ste.ts';
import type { Node } from '../../src/graph/graph.ts';
import { STANDARD_RULES } from '../../src/graph/infer/standard-rules.ts';
import { Model } from '../../src/graph/model.ts';
import { EVALUATORS } from '../../src/rewriting/exact/evaluators.ts';
import { exactOf, roundExact } from '../../src/rewriting/exact/exact.ts';
import { Program } from '../../src/training/program/program.ts';
import { STEP_BUILDERS } from '../../src/training/steps/table.ts';
import type { NodeTest } from './node-tests.ts';

export type Verdict =
  | { readonly outcome: 'passed' }
  /** Refused with a reason, or left open. */
  | { readonly outcome: 'declined'; readonly reason: string }
  | { readonly outcome: 'failed'; readonly reason: string };

export interface Check {
  readonly name: 'shapes' | 'folding' | 'training';
  /** Whether the project claims to do this for the test's operator and types. */
  applies(test: NodeTest): boolean;
  run(test: NodeTest): Verdict;
}

/** Those of the standard's own runner: some expected outputs are given with four digits. */
const RELATIVE = 1e-3;
const ABSOLUTE = 1e-7;
const PASSED: Verdict = { outcome: 'passed' };
const declined = (reason: string): Verdict => ({ outcome: 'declined', reason });
const failed = (reason: string): Verdict => ({ outcome: 'failed', reason });
const listed = (shape: readonly unknown[] | null): string => (shape === null ? '?' : `[${shape.join(', ')}]`);

/** The node alone in a graph; inputs that `isConstant` chooses are constants. */
function modelOf(test: NodeTest, isConstant: (index: number) => boolean): Model {
  const model = new Model();
  model.opsets.set('', test.opset);
  const inputs = test.inputs.map((tensor, i) => {
    if (tensor === null) return null;
    if (isConstant(i)) return model.graph.addConstant(`input${i}`, tensor);
    return model.graph.addInput(`input${i}`, { dtype: tensor.dtype, shape: tensor.shape });
  });
  const { op, attributes, outputs } = test.node;
  const node = model.graph.addNode(op, inputs, { attributes, outputs: outputs.map((_, i) => `output${i}`) });
  model.graph.addOutput(node.output);
  return model;
}

/** A refusal is a verdict; any other error is a bug. */
function judged(compute: () => Verdict): Verdict {
  try {
    return compute();
  } catch (error) {
    if (error instanceof BnnError && error.code === 'E_UNSUPPORTED') return declined(error.message);
    return failed(error instanceof Error ? error.message : String(error));
  }
}

const onlyNode = (model: Model): Node => {
  const [node] = model.graph.nodes();
  if (node === undefined) throw new Error('internal: a model without nodes');
  return node;
};

const shapes: Check = {
  name: 'shapes',
  applies: ({ node }) => STANDARD_RULES.has(node.type),
  run: (test) =>
    judged(() => {
      const node = onlyNode(modelOf(test, (i) => i > 0 || test.inputs[i]?.dtype === 'int64'));
      const types = STANDARD_RULES.get(node.type)?.(node, test.opset) ?? [];
      let isOpen = false;
      // A test leaves out optional outputs at the end, or by an empty name, which the IR drops.
      for (const [i, { dtype, shape }] of test.outputs.entries()) {
        const type = types[i];
        if (type === undefined || type.dtype === null || type.shape === null || type.shape.includes(null))
          isOpen = true;
        const isWrong =
          (type?.dtype ?? dtype) !== dtype ||
          (type?.shape != null &&
            (type.shape.length !== shape.length || type.shape.some((size, d) => size !== null && size !== shape[d])));
        if (isWrong) {
          return failed(
            `output ${i} is ${dtype}${listed(shape)}, inferred ${type?.dtype}${listed(type?.shape ?? null)}`,
          );
        }
      }
      return isOpen ? declined('not all is inferred') : PASSED;
    }),
};

const folding: Check = {
  name: 'folding',
  applies: ({ node }) => EVALUATORS.has(node.type),
  run: (test) =>
    judged(() => {
      // As the pass does: it folds nodes with one output and no input left out.
      if (test.outputs.length !== 1) return declined('several outputs');
      const inputs = test.inputs.map((tensor) => (tensor === null ? null : exactOf(tensor)));
      const exact = inputs.filter((input) => input !== null);
      if (exact.length < inputs.length) return declined('an input is left out, or of a type that is not folded');
      const result = EVALUATORS.get(test.node.type)?.(exact, onlyNode(modelOf(test, () => true)), 2 ** 26) ?? null;
      return result === null ? declined('this use is not folded') : compare(roundExact(result), test.outputs[0]);
    }),
};

const FIRST_AXES_LAST = [0, 2, 3, 1];
const identity = createSte(Infinity);

/** The first output: masks and indices, which others are, are not computed while training. */
const training: Check = {
  name: 'training',
  applies: ({ node, outputs, inputs }) =>
    (STEP_BUILDERS.has(node.type) || node.is('BatchNormalization')) &&
    inputs[0]?.dtype === 'float32' &&
    outputs[0]?.dtype === 'float32',
  run: (test) =>
    judged(() => {
      const program = new Program(
        modelOf(test, (i) => i > 0),
        { explicitPadding: true },
      );
      const [input] = test.inputs;
      const result = tf.tidy(() => {
        const given = tf.tensor((input?.data ?? []) as Float32Array, [...(input?.shape ?? [])], 'float32');
        const y = program.infer(given.rank === 4 ? tf.transpose(given, FIRST_AXES_LAST) : given, {
          weightEstimator: identity,
          activationEstimator: identity,
        });
        const ordered = y.rank === 4 ? tf.transpose(y, [0, 3, 1, 2]) : y;
        return { dtype: 'float32', shape: ordered.shape, data: ordered.dataSync() as Float32Array } as const;
      });
      program.dispose();
      return compare(result, test.outputs[0]);
    }),
};

function compare(found: Tensor, expected: Tensor | undefined): Verdict {
  if (expected === undefined) return failed('the test has no output');
  if (found.dtype !== expected.dtype || listed(found.shape) !== listed(expected.shape)) {
    return failed(`${found.dtype}${listed(found.shape)}, expected ${expected.dtype}${listed(expected.shape)}`);
  }
  const [values, wanted] = [toNumbers(found), toNumbers(expected)];
  const wrong = values.findIndex((value, i) => {
    const want = wanted[i] ?? Number.NaN;
    return (
      !Object.is(value, want) && value !== want && !(Math.abs(value - want) <= ABSOLUTE + RELATIVE * Math.abs(want))
    );
  });
  return wrong < 0 ? PASSED : failed(`element ${wrong} is ${values[wrong]}, expected ${wanted[wrong]}`);
}

export const CHECKS: readonly Check[] = [shapes, folding, training];
