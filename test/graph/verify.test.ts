import { describe, expect, test } from 'vitest';
import { float32, scalar } from '../../src/core/tensors/tensor.ts';
import { reference } from '../../src/graph/attribute.ts';
import { Graph, type Node, Value } from '../../src/graph/graph.ts';
import { type GraphFunction, Model } from '../../src/graph/model.ts';
import { verify } from '../../src/graph/verify.ts';
import { caught } from './caught.ts';

const FLOAT = { dtype: 'float32', shape: [1] } as const;

interface Sample {
  readonly model: Model;
  readonly graph: Graph;
  readonly x: Value;
  readonly k: Value;
  readonly first: Node;
  readonly second: Node;
}

/** x, constant k; first = Add(x, k); second = Relu(first), an output. */
function sample(): Sample {
  const model = new Model(new Graph('main'));
  const { graph } = model;
  const x = graph.addInput('x', FLOAT);
  const k = graph.addConstant('k', scalar(1));
  const first = graph.addNode('Add', [x, k], { name: 'first' });
  const second = graph.addNode('Relu', [first.output], { name: 'second' });
  graph.addOutput(second.output);
  return { model, graph, x, k, first, second };
}

/** y = Elu(x) with the caller's alpha. */
function functionOf(name: string, op = 'Elu', domain = ''): GraphFunction {
  const body = new Graph(name);
  const x = body.addInput('x', { dtype: null, shape: null });
  const attributes = { alpha: reference('alpha', 'float') };
  body.addOutput(body.addNode(op, [x], { domain, attributes }).output);
  const opsets = new Map([
    ['', 17],
    ['my', 1],
  ]);
  return { domain: 'my', name, body, attributes: ['alpha'], opsets };
}

test('well-formed models pass', () => {
  const { model, graph, x } = sample();
  verify(model);
  verify(model, new Set(['Add', 'Relu']));
  model.opsets.set('my', 1);
  model.functions.push(functionOf('Soft'), functionOf('Softer', 'Soft', 'my'));
  graph.addNode('Softer', [x], { domain: 'my' });
  verify(model, new Set(['Add', 'Relu', 'Elu']));
});

test('a constant may be a graph output, and the default of an input', () => {
  const { model, graph, x, k } = sample();
  graph.addOutput(k);
  graph.setConstant(x, float32([1], [2]));
  verify(model);
});

describe('each violation names the rule, the node and the value', () => {
  const cases: readonly (readonly [string, (s: Sample) => unknown, RegExp, string?])[] = [
    ['empty name', ({ x }) => Object.assign(x, { $name: '' }), /listed as "x"/],
    ['renamed behind the graph', ({ x }) => Object.assign(x, { $name: 'y' }), /value "y": it is listed as "x"/],
    ['foreign input', ({ second }) => second.$inputs.push(new Value('alien')), /"alien": read but unknown/, 'second'],
    ['foreign graph output', ({ graph }) => graph.addOutput(new Value('alien')), /"alien": graph output, but unknown/],
    [
      'wrong producer',
      ({ first, second }) => Object.assign(first.output, { $producer: second }),
      /"first": its producer is another node/,
      'first',
    ],
    [
      'producer outside',
      ({ graph, k }) => {
        const node = graph.addNode('Relu', [k], { name: 'gone' });
        const { output } = node;
        graph.removeNode(node);
        (graph.values as Map<string, Value>).set('gone', output);
      },
      /"gone": its producer is not in the graph/,
      'gone',
    ],
    ['dangling', ({ k }) => Object.assign(k, { $constant: null }), /"k": dangling/],
    ['two origins', ({ first }) => Object.assign(first.output, { $constant: scalar(1) }), /a node and a constant/],
    ['missing use', ({ first }) => first.output.$uses.pop(), /"first": input 0 is missing in the use-list/, 'second'],
    ['wrong use', ({ x, second }) => x.$uses.push({ node: second, index: 0 }), /"x": input 0 is not this/, 'second'],
    ['double use', ({ x, first }) => x.$uses.push({ node: first, index: 0 }), /"x": input 0 is listed twice/, 'first'],
    [
      'use before definition',
      ({ graph, first, second }) => graph.setInput(first, 0, second.output),
      /"second": read before it is produced/,
      'first',
    ],
    ['output twice', ({ graph, second }) => graph.addOutput(second.output), /an output is listed twice/],
    ['stale type of a constant', ({ k }) => Object.assign(k, { shape: [2] }), /"k": its type is not that of its data/],
    [
      'wrong number of elements',
      ({ k }) => Object.assign(k, { $constant: { ...scalar(1), shape: [2] }, shape: [2] }),
      /"k": 1 elements for shape \[2\]/,
    ],
    [
      'no opset',
      ({ graph, x }) => graph.addNode('Sign', [x], { domain: 'bnn', name: 's' }),
      /domain "bnn" has no operator set version/,
      's',
    ],
    [
      'reference outside a function',
      ({ first }) => Object.assign(first, { attributes: { a: reference('b', 'int') } }),
      /attribute a refers to @b outside a function/,
      'first',
    ],
    ['unknown operator', ({ graph, x }) => graph.addNode('Wish', [x], { name: 'w' }), /operator Wish is unknown/, 'w'],
    [
      'no graph output',
      ({ model }) => Object.assign(model, { graph: new Graph('bare') }),
      /graph "bare" has no output/,
    ],
  ];
  const complete = cases.map(([name, damage, message, node = '']) => [name, damage, message, node] as const);
  test.each(complete)('%s', (_, damage, message, node) => {
    const s = sample();
    damage(s);
    const error = caught(() => verify(s.model, new Set(['Add', 'Relu', 'bnn.Sign'])));
    expect(error.code).toBe('E_FORMAT');
    expect(error.message).toMatch(/^rule "[^"]+" is broken: /);
    expect(error.message).toMatch(message);
    if (node !== '') expect(error.at).toContain(`node "${node}"`);
  });
});

describe('functions', () => {
  function failure(...functions: GraphFunction[]): string {
    const { model } = sample();
    model.opsets.set('my', 1);
    model.functions.push(...functions);
    const error = caught(() => verify(model));
    return `${error.at}: ${error.message}`;
  }

  test('are defined once, in an imported domain, without recursion', () => {
    expect(failure(functionOf('Soft'), functionOf('Soft'))).toMatch(/my\.Soft: .*defined twice/);
    expect(failure(functionOf('Soft', 'Soft', 'my'))).toMatch(/my\.Soft: .*calls itself/);
    expect(failure(functionOf('A', 'B', 'my'), functionOf('B', 'A', 'my'))).toMatch(/calls itself/);
    expect(failure({ ...functionOf('Soft'), domain: 'their' })).toMatch(/domain "their" has no operator set/);
  });

  test('have bodies that obey the same rules', () => {
    expect(failure({ ...functionOf('Soft'), opsets: new Map() })).toMatch(/function my\.Soft > node .*domain ""/);
    expect(failure({ ...functionOf('Soft'), attributes: [] })).toMatch(/@alpha, which the function does not declare/);
    const broken = functionOf('Soft');
    broken.body.inputs[0]?.$uses.pop();
    expect(failure(broken)).toMatch(/function my\.Soft .*missing in the use-list/);
  });

  test('are not called with more operands than they have', () => {
    const { model, graph, x } = sample();
    model.opsets.set('my', 1);
    model.functions.push(functionOf('Soft'));
    graph.addNode('Soft', [x, x], { domain: 'my', name: 'call' });
    expect(caught(() => verify(model)).message).toContain('2 inputs, the function has 1');
  });
});
