/** What all rewrites of one model share. */

import { MAX_RANK } from '../core/tensors/shape.ts';
import type { TensorData } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import type { Model } from '../graph/model.ts';
import type { Evaluator } from './exact/evaluator.ts';
import { EVALUATORS } from './exact/evaluators.ts';
import { type Exact, exactOf, fitsDtype, roundExact } from './exact/exact.ts';
import { FoldBudget } from './exact/fold-budget.ts';
import { exactInput } from './exact/movement.ts';
import { LayerLog } from './layers/layers.ts';
import type { Miss } from './miss.ts';
import { SourceNames } from './source-names.ts';

export class RewriteContext {
  readonly model: Model;
  /** What users know its nodes by. */
  readonly names: SourceNames;
  readonly layers: LayerLog;
  /** The last miss of each rewrite at each node that is still there. */
  readonly misses = new Map<Node, Map<string, Miss>>();
  readonly #exact = new WeakMap<Value, Exact>();
  readonly #budget: FoldBudget;

  /** @param names  those of the model itself, or of the one that it was made of. */
  constructor(model: Model, names = new SourceNames(model.graph)) {
    this.model = model;
    this.names = names;
    this.layers = new LayerLog(model.graph.nodes(), this.names);
    this.#budget = new FoldBudget(model.graph);
  }

  get graph(): Graph {
    return this.model.graph;
  }

  /** Adds a constant, rounded to its dtype, and remembers the unrounded numbers for later folds. */
  addExact(name: string, exact: Exact, at: Node): Value {
    const rounded = roundExact(exact);
    assertFinite(rounded.data as ArrayLike<number>, name, at);
    const value = this.graph.addConstant(name, rounded);
    if (!isSame(exact.data, rounded.data)) this.#exact.set(value, exact);
    return value;
  }

  /** True when a value is a constant or computed from constants by operators that can be evaluated. */
  isConstantExpression(value: Value | null): boolean {
    if (value === null) return false;
    let count = 0;
    for (const { constant, producer } of ancestors(value)) {
      if (++count > MAX_EXPRESSION) return false;
      if (constant !== null) continue;
      if (producer === null || !EVALUATORS.has(producer.type) || producer.inputs.includes(null)) return false;
    }
    return true;
  }

  /** True when `bnn.Sign` takes part in a constant expression (ask only of one: the search goes through all its inputs). */
  hasSign(value: Value): boolean {
    for (const { producer } of ancestors(value)) if (producer?.is('Sign', 'bnn') === true) return true;
    return false;
  }

  /** The numbers of a constant expression, unrounded where they were folded; null when it is none, or too large (`FoldBudget`). */
  evaluate(value: Value | null): Exact | null {
    if (value === null || !this.isConstantExpression(value)) return null;
    return this.#look(value, { known: new Map(), held: 0 });
  }

  /** The same for an input of a node, as its evaluator takes it. */
  evaluateInput(node: Node, index: number): Exact | null {
    return this.evaluate(node.input(index)) ?? storedInput(node, index);
  }

  /** What a node on constants computes, by the evaluator that is given; null when it does not, or the result would be too large. */
  foldNode(node: Node, inputs: readonly Exact[], evaluate: Evaluator): Exact | null {
    const budget = this.#budget;
    budget.spendOnFold(sizeOf(inputs));
    const room = budget.foldRoom;
    const exact = room < 0 ? null : evaluate(inputs, node, room);
    if (exact === null || exact.shape.length > MAX_RANK || !fitsDtype(exact)) return null;
    budget.spendOnFold(exact.data.length);
    return exact.data.length > room ? null : exact;
  }

  #look(value: Value, search: Search): Exact | null {
    let exact = this.#exact.get(value) ?? search.known.get(value);
    if (exact !== undefined) return exact;
    if (value.constant !== null) exact = exactOf(value.constant);
    else exact = value.producer === null ? null : this.#lookAtNode(value.producer, search);
    search.known.set(value, exact);
    search.held += exact?.data.length ?? 0;
    return exact;
  }

  #lookAtNode(node: Node, search: Search): Exact | null {
    const inputs: Exact[] = [];
    for (const [i, input] of node.inputs.entries()) {
      const exact = input === null ? null : (this.#look(input, search) ?? storedInput(node, i));
      if (exact === null) return null;
      inputs.push(exact);
    }
    const budget = this.#budget;
    budget.spendOnLook(sizeOf(inputs));
    const room = budget.lookRoom(search.held);
    const exact = room <= 0 ? null : (EVALUATORS.get(node.type)?.(inputs, node, room) ?? null);
    budget.spendOnLook(exact?.data.length ?? 0);
    return exact !== null && fitsDtype(exact) ? exact : null;
  }
}

/** Values that a constant expression may consist of: what is not folded by then is no scaling factor. */
const MAX_EXPRESSION = 128;

/** What an evaluation knows already, so that each node is computed once. */
interface Search {
  readonly known: Map<Value, Exact | null>;
  /** Elements of those results. */
  held: number;
}

function storedInput(node: Node, index: number): Exact | null {
  const constant = node.input(index)?.constant ?? null;
  return constant === null ? null : exactInput(node, index, constant);
}

function sizeOf(inputs: readonly Exact[]): number {
  return inputs.reduce((sum, { data }) => sum + data.length, 0);
}

/** A value and all values that it is computed from, each once; lazily, so that a search may stop early. */
function* ancestors(value: Value): Generator<Value> {
  const seen = new Set<Value>();
  const pending: Value[] = [value];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    yield next;
    for (const input of next.producer?.inputs ?? []) if (input !== null) pending.push(input);
  }
}

/**
 * Refuses numbers that no deployed model should carry.
 *
 * @throws {BnnError} E_NUMERIC naming the constant and the node.
 */
export function assertFinite(data: ArrayLike<number>, what: string, at: Node): void {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return;
  const index = data.findIndex((x: number) => !Number.isFinite(x));
  if (index < 0) return;
  throw new BnnError('E_NUMERIC', `folding gives ${what}[${index}] = ${data[index]}, expected a finite number`, {
    at: at.describe(),
    hint: 'look for NaN, infinite or negative-variance parameters in the source model; did its training diverge?',
  });
}

/** True when rounding lost nothing, so that the float64 original need not be kept. */
function isSame(exact: Float64Array, rounded: TensorData): boolean {
  for (let i = 0; i < exact.length; i++) if (exact[i] !== Number(rounded[i])) return false;
  return true;
}
