import { describe, expect, it } from 'vitest';
import { float32 } from '../../../src/core/tensors/tensor.ts';
import { ints } from '../../../src/graph/attribute.ts';
import { Graph, type Value } from '../../../src/graph/graph.ts';
import { unshareVectors } from '../../../src/training/start/shared-vectors.ts';

/** Conv, normalization and PRelu, twice one after the other, with these weights, norms and slopes. */
function twice(weights: [Value, Value], norms: [Value[], Value[]], slopes: [Value, Value], graph: Graph) {
  let x = graph.addInput('x', { dtype: 'float32', shape: ['N', 2, 4, 4] });
  const nodes = [0, 1].map((i) => {
    const conv = graph.addNode('Conv', [x, weights[i]!], { attributes: { kernel_shape: ints([1, 1]) } });
    const norm = graph.addNode('BatchNormalization', [conv.output, ...norms[i]!]);
    const act = graph.addNode('PRelu', [norm.output, slopes[i]!]);
    x = act.output;
    return { norm, act };
  });
  graph.addOutput(x);
  unshareVectors(graph);
  const [a, b] = nodes;
  return {
    norms: [1, 2, 3, 4].map((i) => a!.norm.input(i) === b!.norm.input(i)),
    slopes: a!.act.input(1) === b!.act.input(1),
    own: new Set([1, 2, 3, 4].map((i) => a!.norm.input(i))).size,
  };
}

describe('vectors that are stored once', () => {
  const make = () => {
    const graph = new Graph();
    const of = (name: string, ...values: number[]) => graph.addConstant(name, float32([values.length], values));
    const weight = (name: string) => graph.addConstant(name, float32([2, 2, 1, 1], [1, 2, 3, 4]));
    return { graph, of, weight, ones: of('ones', 1, 1), zeros: of('zeros', 0, 0), slope: of('slope', 0.25, 0.25) };
  };

  it('as they began, they belong to each of several layers', () => {
    const { graph, weight, ones, zeros, slope } = make();
    const norm = [ones, zeros, zeros, ones];
    const shared = twice([weight('a'), weight('b')], [norm, norm], [slope, slope], graph);
    expect(shared).toEqual({ norms: [false, false, false, false], slopes: false, own: 4 });
  });

  it('as they began, they are one where the layer is used twice', () => {
    const { graph, weight, ones, zeros, slope } = make();
    const [norm, w] = [[ones, zeros, zeros, ones], weight('a')];
    const shared = twice([w, w], [norm, norm], [slope, slope], graph);
    expect(shared).toEqual({ norms: [true, true, true, true], slopes: true, own: 4 });
  });

  it('trained, they are one', () => {
    const { graph, weight, of, slope } = make();
    const norm = [of('g', 1, 2), of('b', 0, 1), of('m', 3, 4), of('v', 5, 6)];
    const shared = twice([weight('a'), weight('b')], [norm, norm], [of('s', 0.1, 0.2), slope], graph);
    expect(shared).toEqual({ norms: [true, true, true, true], slopes: false, own: 4 });
  });

  it('two normalizations of one layer are two', () => {
    const { graph, weight, ones, zeros } = make();
    const x = graph.addInput('x', { dtype: 'float32', shape: ['N', 2, 4, 4] });
    const conv = graph.addNode('Conv', [x, weight('a')]);
    const norms = [0, 1].map(() => graph.addNode('BatchNormalization', [conv.output, ones, zeros, zeros, ones]));
    graph.addOutput(
      graph.addNode(
        'Add',
        norms.map((node) => node.output),
      ).output,
    );
    unshareVectors(graph);
    expect(norms[0]!.input(1)).not.toBe(norms[1]!.input(1));
  });

  it('numbers that are added to everything are no parameters', () => {
    const graph = new Graph();
    const three = graph.addConstant('three', float32([], [3]));
    let x = graph.addInput('x', { dtype: 'float32', shape: ['N', 2] });
    for (let i = 0; i < 2; i++) x = graph.addNode('Add', [x, three]).output;
    graph.addOutput(x);
    unshareVectors(graph);
    expect([...graph.constants()]).toHaveLength(1);
  });
});
