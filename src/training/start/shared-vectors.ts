/** Which vectors of a network are one parameter, and which are equal by chance. */

import { elementCount } from '../../core/tensors/shape.ts';
import type { Graph, Node, Value } from '../../graph/graph.ts';
import { weightSource } from '../program/parameters.ts';

/** Positions of vectors that are trained or move. */
const VECTORS: ReadonlyMap<string, readonly number[]> = new Map([
  ['Add', [0, 1]],
  ['BatchNormalization', [1, 2, 3, 4]],
  ['Conv', [2]],
  ['Gemm', [2]],
  ['PRelu', [1]],
]);
const WEIGHTED = ['Conv', 'Gemm', 'MatMul'];

/**
 * Exporters store equal vectors once. Those that were trained are equal because they are one parameter; those that still are as they
 * began, all zeros or all ones, are one only where they belong to the same layer, used several times. The others get copies.
 */
export function unshareVectors(graph: Graph): void {
  const taken = new Set<Value>();
  const own = new Map<string, Value>();
  for (const node of graph.nodes()) {
    const places = (VECTORS.get(node.type) ?? []).filter((index) => isVector(node, node.input(index)));
    const values = places.map((index) => node.requiredInput(index));
    const owner = ownerOf(node, values);
    for (const [i, index] of places.entries()) {
      const value = values[i] as Value;
      const key = `${owner}/${index}`;
      const mine = own.get(key) ?? (taken.has(value) ? graph.addConstant(value.name, value.constant as never) : value);
      own.set(key, mine);
      taken.add(value);
      if (mine !== value) graph.setInput(node, index, mine);
    }
  }
}

/** What is added to everything alike is no parameter. */
function isVector(node: Node, value: Value | null): boolean {
  if (!value?.constant) return false;
  return !node.is('Add') || elementCount(value.constant.shape) > 1;
}

/** The same text for the same layer. */
function ownerOf(node: Node, values: readonly Value[]): string {
  const names = [node.type, ...values.map(({ name }) => name)].join(' ');
  return values.some(isTelling) ? names : `${names} after ${pathTo(node)}`;
}

/** Whether a vector was not just filled with one number. */
function isTelling({ constant }: Value): boolean {
  if (constant === null) return false;
  const data: ArrayLike<number | bigint> = constant.data;
  return Array.prototype.some.call(data, (value) => value !== data[0]);
}

/** The way to a node from the weights before it. */
function pathTo(node: Node): string {
  const path: string[] = [];
  for (let at = node; ; ) {
    const weight = WEIGHTED.some((op) => at.is(op)) ? weightSource(at.requiredInput(1)) : null;
    if (weight !== null) return [...path, weight.constant.name].join(' < ');
    const from = at.inputs.find((value) => value !== null && value.constant === null);
    // Without weights before it, a node is like no other.
    if (!from?.producer) return `${path.join(' < ')} < ${node.output.name}`;
    path.push(`${at.type} ${from.uses.findIndex((use) => use.node === at)}`);
    at = from.producer;
  }
}
