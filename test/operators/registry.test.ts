import { describe, expect, it } from 'vitest';
import { float32, tensor } from '../../src/core/tensors/tensor.ts';
import { Graph } from '../../src/graph/graph.ts';
import { Model } from '../../src/graph/model.ts';
import {
  addBnnFunctions,
  BNN_OPERATORS,
  BNN_RULES,
  bnnFunction,
  evaluateReference,
} from '../../src/operators/registry.ts';
import { runNode, runStock } from './run-stock.ts';

function signModel(): Model {
  const graph = new Graph();
  const x = graph.addInput('x', { dtype: 'float32', shape: ['N', 3] });
  graph.addOutput(graph.addNode('Sign', [x], { domain: 'bnn' }).output);
  return new Model(graph);
}

describe('Sign', () => {
  const values = [1, 0, -0, -1e-45, 1e-45, -3, Infinity, -Infinity, Number.NaN];
  const signs = Float32Array.of(1, 1, 1, -1, 1, -1, 1, -1, -1);

  it('is +1 for both zeros and −1 for NaN', () => {
    expect(evaluateReference('Sign', [float32([9], values)]).data).toEqual(signs);
    expect(() => evaluateReference('Sign', [tensor('int8', [1], new Int8Array(1))])).toThrow(
      'expected a float32 tensor',
    );
  });

  it('is the same in stock onnxruntime', async () => {
    expect(await runNode('Sign', [float32([9], values)], {})).toEqual(signs);
  });
});

describe('addBnnFunctions', () => {
  it('adds exactly the functions that are called, and the import of the domain', () => {
    const model = signModel();
    model.irVersion = 7;
    model.functions.push(bnnFunction('BinaryConv'));
    addBnnFunctions(model);
    expect(model.irVersion).toBe(8);
    expect(model.functions.map(({ name }) => name)).toEqual(['Sign']);
    expect(model.opsets.get('bnn')).toBe(1);
    addBnnFunctions(model);
    expect(model.functions).toHaveLength(1);
  });

  it('removes both when nothing calls them, and keeps functions of other domains', () => {
    const model = new Model();
    model.opsets.set('bnn', 1);
    const other = { ...bnnFunction('Sign'), domain: 'other' };
    model.functions.push(bnnFunction('Sign'), other);
    addBnnFunctions(model);
    expect(model.functions).toEqual([other]);
    expect(model.opsets.has('bnn')).toBe(false);
  });

  it('sees calls from the bodies of other functions', () => {
    const model = new Model();
    model.functions.push({ ...bnnFunction('Sign'), domain: 'other', body: signModel().graph });
    addBnnFunctions(model);
    expect(model.functions.map(({ domain, name }) => `${domain}.${name}`)).toEqual(['bnn.Sign', 'other.Sign']);
  });

  it.each([13, 17, 21])('writes the bodies for operator set %i of the model, and they run', async (opset) => {
    const model = signModel();
    model.opsets.set('', opset);
    addBnnFunctions(model);
    expect(model.functions[0]?.opsets.get('')).toBe(opset);
    const feeds = { x: float32([1, 3], [-1, 0, 2]) };
    expect(await runStock(model, feeds)).toEqual(Float32Array.of(-1, 1, 1));
  });

  it('refuses a model whose standard operators are too old', () => {
    const model = signModel();
    model.opsets.set('', 11);
    expect(() => addBnnFunctions(model)).toThrow('imports version 11 of the standard operators, bnn.Sign needs 13');
  });

  it('refuses an operator that does not exist', () => {
    const model = new Model();
    model.graph.addNode('Signum', [], { domain: 'bnn' });
    expect(() => addBnnFunctions(model)).toThrow('there is no operator bnn.Signum');
  });
});

describe('every operator', () => {
  it.each([...BNN_OPERATORS])('%s: schema, function and rule agree', (name, { schema, body }) => {
    const built = body();
    expect(built.name).toBe(name);
    expect(built.body.inputs.map((input) => input.name)).toEqual(schema.inputs.map((input) => input.name));
    expect(built.attributes).toEqual(schema.attributes.map((attribute) => attribute.name));
    expect(built.body.outputs).toHaveLength(1);
    expect(BNN_RULES.has(`bnn.${name}`)).toBe(true);
  });

  it('is one of 30', () => {
    const [binary, thresholds, weightOnly] = [2 * 7, 7, 2 * 4];
    expect(BNN_OPERATORS.size).toBe(1 + binary + thresholds + weightOnly);
  });
});
