import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { float32, scalar } from '../../src/core/tensors/tensor.ts';
import { Builder } from '../../src/graph/builder.ts';
import { Graph, type Node, type Value } from '../../src/graph/graph.ts';
import { Model } from '../../src/graph/model.ts';
import { verify } from '../../src/graph/verify.ts';
import { caught } from './caught.ts';

const FLOAT = { dtype: 'float32', shape: [1] } as const;

/** x -> a -> b -> c, all Relu, c is the output. */
function chain(): { graph: Graph; x: Value; nodes: Record<'a' | 'b' | 'c', Node> } {
  const graph = new Graph();
  const x = graph.addInput('x', FLOAT);
  const a = graph.addNode('Relu', [x], { name: 'a' });
  const b = graph.addNode('Relu', [a.output], { name: 'b' });
  const c = graph.addNode('Relu', [b.output], { name: 'c' });
  graph.addOutput(c.output);
  return { graph, x, nodes: { a, b, c } };
}

const names = (graph: Graph): string[] => [...graph.nodes()].map(({ name }) => name);
const usesOf = (value: Value): string[] => value.uses.map(({ node, index }) => `${node.name}:${index}`).sort();

function check(graph: Graph): void {
  verify(new Model(graph));
}

describe('edits during iteration', () => {
  /** Iterates and edits at the node `at`; returns what was visited. */
  function visited(at: string, edit: (graph: Graph, nodes: Record<'a' | 'b' | 'c', Node>) => void): string[] {
    const { graph, nodes } = chain();
    const seen: string[] = [];
    for (const node of graph.nodes()) {
      seen.push(node.name);
      if (node.name === at) edit(graph, nodes);
      expect(seen.length).toBeLessThan(10);
    }
    check(graph);
    return seen;
  }

  const insert = (graph: Graph, before?: Node): Node =>
    graph.addNode('Relu', [graph.inputs[0]!], { name: 'new', ...(before === undefined ? {} : { before }) });

  function bypass(graph: Graph, node: Node): void {
    graph.replaceAllUses(node.output, node.input(0)!);
    graph.removeNode(node);
  }

  test('insert after the current node: visited', () => {
    expect(visited('a', (graph, { b }) => insert(graph, b))).toEqual(['a', 'new', 'b', 'c']);
    expect(visited('c', (graph) => insert(graph))).toEqual(['a', 'b', 'c', 'new']);
  });

  test('insert before the current node: not visited', () => {
    expect(visited('b', (graph, { b }) => insert(graph, b))).toEqual(['a', 'b', 'c']);
    expect(visited('b', (graph, { a }) => insert(graph, a))).toEqual(['a', 'b', 'c']);
  });

  test('remove the current, the next, the previous node', () => {
    expect(visited('a', (graph, { a }) => bypass(graph, a))).toEqual(['a', 'b', 'c']);
    expect(visited('a', (graph, { b }) => bypass(graph, b))).toEqual(['a', 'c']);
    expect(visited('b', (graph, { a }) => bypass(graph, a))).toEqual(['a', 'b', 'c']);
    expect(visited('c', (graph, { b }) => bypass(graph, b))).toEqual(['a', 'b', 'c']);
  });

  test('remove the current node and then its neighbours', () => {
    expect(
      visited('a', (graph, { a, b }) => {
        bypass(graph, a);
        bypass(graph, b);
      }),
    ).toEqual(['a', 'c']);
    expect(
      visited('b', (graph, { a, b }) => {
        bypass(graph, b);
        bypass(graph, a);
      }),
    ).toEqual(['a', 'b', 'c']);
  });

  test('replace the current node: what takes its place before it is not visited, after it is', () => {
    expect(
      visited('b', (graph, { b }) => {
        const replacement = insert(graph, b);
        graph.replaceAllUses(b.output, replacement.output);
        graph.removeNode(b);
      }),
    ).toEqual(['a', 'b', 'c']);
    expect(
      visited('b', (graph, { b, c }) => {
        bypass(graph, b);
        insert(graph, c);
      }),
    ).toEqual(['a', 'b', 'new', 'c']);
  });
});

describe('use-lists', () => {
  test('count every input of every reader', () => {
    const { graph, x, nodes } = chain();
    const sum = graph.addNode('Add', [x, x], { name: 'sum' });
    expect(usesOf(x)).toEqual(['a:0', 'sum:0', 'sum:1']);
    graph.setInput(sum, 1, nodes.a.output);
    expect([usesOf(x), usesOf(nodes.a.output)]).toEqual([
      ['a:0', 'sum:0'],
      ['b:0', 'sum:1'],
    ]);
    graph.setInput(sum, 3, x);
    expect(sum.inputs.map((value) => value?.name ?? null)).toEqual(['x', 'a', null, 'x']);
    graph.setInput(sum, 0, null);
    expect(usesOf(x)).toEqual(['a:0', 'sum:3']);
    graph.removeNode(sum);
    expect([usesOf(x), usesOf(nodes.a.output)]).toEqual([['a:0'], ['b:0']]);
    check(graph);
  });

  test('what is still read cannot be removed', () => {
    const { graph, nodes } = chain();
    expect(() => graph.removeNode(nodes.a)).toThrow(/still used/);
    expect(() => graph.removeNode(nodes.c)).toThrow(/still used/);
    const constant = graph.addConstant('k', scalar(1));
    const reader = graph.addNode('Relu', [constant]);
    expect(() => graph.removeConstant(constant)).toThrow(/still used/);
    graph.removeNode(reader);
    expect(() => graph.removeNode(reader)).toThrow(/not in graph/);
    graph.removeConstant(constant);
    expect(() => graph.removeConstant(graph.inputs[0]!)).toThrow(/no constant/);
    check(graph);
  });
});

describe('replaceAllUses', () => {
  test('moves the readers', () => {
    const { graph, x, nodes } = chain();
    graph.replaceAllUses(nodes.a.output, x);
    expect([usesOf(x), usesOf(nodes.a.output)]).toEqual([['a:0', 'b:0'], []]);
    check(graph);
  });

  test('spares the producer of the replacement, so a node can be inserted behind a value', () => {
    const { graph, nodes } = chain();
    const wrapped = graph.addNode('Abs', [nodes.a.output], { name: 'w', before: nodes.b });
    graph.replaceAllUses(nodes.a.output, wrapped.output);
    expect([usesOf(nodes.a.output), usesOf(wrapped.output)]).toEqual([['w:0'], ['b:0']]);
    check(graph);
  });

  test('a computed replacement takes over the name of a graph output', () => {
    const { graph, nodes } = chain();
    const better = graph.addNode('Abs', [nodes.b.output], { name: 'better' });
    graph.replaceAllUses(nodes.c.output, better.output);
    graph.removeNode(nodes.c);
    expect(graph.outputs.map(({ name, producer }) => [name, producer?.name])).toEqual([['c', 'better']]);
    expect(graph.values.has('better')).toBe(false);
    check(graph);
  });

  test.each([
    ['an input', (graph: Graph) => graph.inputs[0]!],
    ['a constant', (graph: Graph) => graph.addConstant('k', float32([1], [2]))],
    [
      'another output',
      (graph: Graph) => {
        const other = [...graph.nodes()][0]!.output;
        graph.addOutput(other);
        return other;
      },
    ],
  ])('%s reaches a graph output through an Identity', (_, pick) => {
    const { graph, nodes } = chain();
    const replacement = pick(graph);
    const name = replacement.name;
    graph.replaceAllUses(nodes.c.output, replacement);
    graph.removeNode(nodes.c);
    const [output] = graph.outputs;
    expect([output?.name, output?.producer?.op, output?.producer?.input(0)]).toEqual(['c', 'Identity', replacement]);
    expect([output?.shape, replacement.name]).toEqual([replacement.shape, name]);
    check(graph);
  });

  test('a constant output can be replaced, an input that is an output cannot', () => {
    const graph = new Graph();
    const constant = graph.addConstant('k', scalar(1));
    graph.addOutput(constant);
    const x = graph.addInput('x', FLOAT);
    const y = graph.addNode('Relu', [x]).output;
    graph.replaceAllUses(constant, y);
    graph.removeConstant(constant);
    expect(graph.outputs.map(({ name }) => name)).toEqual(['k']);
    check(graph);
    graph.addOutput(x);
    expect(() => graph.replaceAllUses(x, y)).toThrow(/graph input and output/);
  });
});

describe('names', () => {
  test('a taken or empty name is refused, a fresh one is made', () => {
    const { graph } = chain();
    expect(caught(() => graph.addInput('a', FLOAT)).message).toContain('two values are called "a"');
    expect(caught(() => graph.addInput('', FLOAT)).code).toBe('E_FORMAT');
    expect(graph.addConstant('a', scalar(1)).name).not.toBe('a');
    expect(graph.freshName('fresh')).toBe('fresh');
    check(graph);
  });
});

describe('sortTopologically', () => {
  test('a sorted graph stays as it is', () => {
    const { graph, x, nodes } = chain();
    graph.addNode('Relu', [x], { name: 'd' });
    graph.addNode('Relu', [nodes.a.output], { name: 'e' });
    graph.sortTopologically();
    expect(names(graph)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('producers move before their readers', () => {
    const { graph, x, nodes } = chain();
    const late = graph.addNode('Relu', [x], { name: 'late' });
    graph.setInput(nodes.b, 0, late.output);
    graph.sortTopologically();
    expect(names(graph)).toEqual(['a', 'late', 'b', 'c']);
    check(graph);
  });

  test('a cycle is an error and leaves the order', () => {
    const { graph, nodes } = chain();
    graph.setInput(nodes.a, 0, nodes.b.output);
    expect(caught(() => graph.sortTopologically()).message).toContain('cycle');
    expect(names(graph)).toEqual(['a', 'b', 'c']);
    graph.setInput(nodes.a, 0, nodes.a.output);
    expect(caught(() => graph.sortTopologically()).message).toContain('cycle');
  });

  test('a long chain does not exhaust the stack', () => {
    const graph = new Graph();
    let value = graph.addInput('x', FLOAT);
    for (let i = 0; i < 50_000; i++) value = graph.addNode('Relu', [value], { outputs: [`y${i}`] }).output;
    graph.sortTopologically();
    expect([...graph.nodes()]).toHaveLength(50_000);
  });
});

test('random edits keep every invariant and agree with a list of operands', () => {
  const edit = fc.record({
    kind: fc.constantFrom('add', 'add', 'add', 'input', 'replace', 'remove', 'constant', 'sort'),
    i: fc.nat(1000),
    j: fc.nat(1000),
    k: fc.nat(1000),
  });
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 60 }), (edits) => {
      const graph = new Graph();
      graph.addInput('x', FLOAT);
      /** The independent record: which values each node reads. */
      const operands = new Map<Node, Value[]>();
      const pick = <T>(list: readonly T[], index: number): T => list[index % list.length]!;
      const positions = (): Map<Node | null, number> => new Map([...graph.nodes()].map((node, i) => [node, i]));
      const available = (before: Node | null): Value[] => {
        const at = positions();
        const limit = before === null ? Infinity : at.get(before)!;
        return [...graph.values.values()].filter((v) => v.producer === null || at.get(v.producer)! < limit);
      };
      for (const { kind, i, j, k } of edits) {
        const nodes = [...graph.nodes()];
        if (kind === 'constant') graph.addConstant(`k${i}`, scalar(i));
        else if (kind === 'sort') graph.sortTopologically();
        else if (kind === 'add') {
          const before = nodes.length > 0 && i % 3 === 0 ? pick(nodes, i) : null;
          const inputs = [pick(available(before), j), pick(available(before), k)];
          const node = graph.addNode('Add', inputs, before === null ? {} : { before });
          operands.set(node, inputs);
          if (i % 5 === 0) graph.addOutput(node.output);
        } else if (nodes.length > 0) {
          const node = pick(nodes, i);
          if (kind === 'input') {
            const value = pick(available(node), j);
            graph.setInput(node, k % 2, value);
            operands.get(node)![k % 2] = value;
          } else if (kind === 'replace') {
            const replacement = pick(available(node), j);
            const isOutput = node.output.isOutput();
            graph.replaceAllUses(node.output, replacement);
            for (const [reader, list] of operands) {
              if (reader === replacement.producer) continue;
              operands.set(
                reader,
                list.map((value) => (value === node.output ? replacement : value)),
              );
            }
            for (const added of isOutput ? graph.nodes() : []) {
              if (added.is('Identity') && !operands.has(added)) operands.set(added, [replacement]);
            }
          } else if (node.output.uses.length === 0 && !node.output.isOutput()) {
            graph.removeNode(node);
            operands.delete(node);
          }
        }
        const live = new Set(graph.nodes());
        expect(live.size).toBe(operands.size);
        for (const [node, list] of operands) {
          expect(live.has(node)).toBe(true);
          expect(node.inputs.every((value, at) => value === list[at])).toBe(true);
        }
        const scanned = new Map<Value, number>();
        for (const list of operands.values())
          for (const value of list) scanned.set(value, (scanned.get(value) ?? 0) + 1);
        for (const value of graph.values.values()) expect(value.uses).toHaveLength(scanned.get(value) ?? 0);
      }
      if (graph.outputs.length > 0) check(graph);
    }),
    { numRuns: 60 },
  );
});

test('Builder makes nodes of any domain', () => {
  const builder = new Builder('net');
  const x = builder.input('x', 'float32', ['N', 2]);
  const w = builder.constant('w', float32([2, 2], [1, 2, 3, 4]));
  const signs = builder.op('bnn.Sign', [x], {}, 'sign');
  const scaled = builder.op('ai.onnx.ml.Scaler', [signs]);
  builder.output(builder.op('MatMul', [scaled, w], {}, 'mm', 'y'), 'float32', ['N', 2]);
  const { graph } = builder.model;
  expect([...graph.nodes()].map(({ domain, op, name }) => [domain, op, name])).toEqual([
    ['bnn', 'Sign', 'sign'],
    ['ai.onnx.ml', 'Scaler', ''],
    ['', 'MatMul', 'mm'],
  ]);
  expect(graph.outputs.map(({ name, shape }) => [name, shape])).toEqual([['y', ['N', 2]]]);
});
