import { scalar, type Tensor } from '../../../core/tensors/tensor.ts';
import type { Node, Value } from '../../../graph/graph.ts';
import { BROADCASTING, UNARY } from '../../../operators/operator-facts.ts';
import { addOp, scalarOf } from '../../../rewriting/add-op.ts';
import { defineRewrite, miss } from '../../../rewriting/rewrite.ts';

const MAX_DEPTH = 16;

/** Whether a value surely has the shape of another one, being computed from it element by element. */
function followsShape(value: Value | null, of: Value): boolean {
  let current = value;
  for (let depth = 0; depth < MAX_DEPTH && current !== null; depth++) {
    if (current === of) return true;
    const node: Node | null = current.producer;
    if (node === null) return false;
    const data = node.inputs.filter((input) => input === null || scalarOf(input) === null);
    const isElementwise = UNARY.includes(node.type) || (BROADCASTING.includes(node.type) && data.length === 1);
    if (!isElementwise || node.inputs.some((input) => isWide(input, data[0] ?? null))) return false;
    current = data[0] ?? null;
  }
  return false;
}

/** A single number of so many dimensions adds dimensions. */
function isWide(input: Value | null, data: Value | null): boolean {
  if (input === null || input === data) return false;
  const rank = input.shape?.length ?? 0;
  return rank > 0 && (data?.shape == null || rank > data.shape.length);
}

interface Expanded {
  /** What was expanded: a value, or the number that a shape was filled with. */
  readonly base: Value | Tensor;
  /** Operators of one value behind the expansion, the last one first. */
  readonly behind: readonly Node[];
  /** Whose shape it took. */
  readonly like: Value;
}

function expandedOf(value: Value | null): Expanded | null {
  const behind: Node[] = [];
  let node = value?.producer ?? null;
  while (node !== null && UNARY.includes(node.type) && node.inputs.length === 1 && behind.length < MAX_DEPTH) {
    behind.push(node);
    node = node.requiredInput(0).producer;
  }
  const isFill = node?.is('ConstantOfShape') === true;
  if (node === null || !(isFill || node.is('Expand'))) return null;
  const shape = node.requiredInput(isFill ? 0 : 1).producer;
  const isWhole =
    shape?.is('Shape') === true && shape.int('start', 0) === 0 && shape.attribute('end', 'int') === undefined;
  if (!isWhole) return null;
  const fill = node.attribute('value', 'tensor') ?? scalar(0);
  const base = isFill ? { ...fill, shape: [] } : node.requiredInput(0);
  return { base, behind, like: shape.requiredInput(0) };
}

export const DROP_EXPAND = defineRewrite({
  name: 'drop-expand',
  doc: {
    before: 'f(x, Expand(c, Shape(x))), f(x, ConstantOfShape(Shape(x))), f element-wise',
    after: 'f(x, c)',
    requires: 'another operand has the shape that is expanded to',
    exactness: 'bit-exact',
  },
  roots: BROADCASTING,
  match: (root) => {
    const expanded = root.inputs.map(expandedOf);
    const kept = root.inputs.filter((_, i) => expanded[i] === null);
    const isDropped = expanded.map((found) => found !== null && kept.some((other) => followsShape(other, found.like)));
    return isDropped.includes(true) ? { expanded, isDropped } : miss(root, 'no operand is expanded to another one');
  },
  apply: (root, { expanded, isDropped }, { graph }) => {
    const inputs = root.inputs.map((input, i) => {
      const found = expanded[i];
      if (found == null || isDropped[i] !== true) return input;
      const { base, behind } = found;
      let value = 'data' in base ? graph.addConstant(`${input?.name}.fill`, base) : base;
      for (const node of behind.toReversed()) {
        value = addOp(graph, node.type, [value], root, { attributes: node.attributes });
      }
      return value;
    });
    return addOp(graph, root.type, inputs, root, { attributes: root.attributes, name: root.name });
  },
});
