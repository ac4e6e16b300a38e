/**
 * Puts binary layers that follow one another into one node of the operator library.
 *
 *     before   x ──► BinaryConvSign ──► BinaryConvReluAdd ──► …        each reads and writes floats, all images at once
 *     after    x ──► BinaryChain ──► …                                 bits in between, one image after the other
 *
 * Done to a copy in memory when a session is made; no file has such a node.
 * Exact    the same kernels on the same numbers: bits are what the next layer would have made of the floats. But for rounding, with `fastStems`.
 */

import { tensor } from '../core/tensors/tensor.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { inferNode } from '../graph/infer/infer-shapes.ts';
import type { Model } from '../graph/model.ts';
import { BNN_DOMAIN } from '../operators/definition.ts';
import { INFER_RULES } from '../operators/registry.ts';
import { type ChainNode, chainNodeOf, dataOf, nodesOf, type StemOptions } from './chain-nodes.ts';
import { type ChainStep, encodeChain } from './chain-program.ts';

/** The operator, which the library has beside those of `src/operators`. */
const CHAIN = 'BinaryChain';
/** A single layer gains nothing. */
const LEAST_NODES = 2;

/**
 * Rewrites a model.
 *
 * @returns how many chains there are, and in how many of them there is a stem by Winograd's filtering.
 */
export function fuseChains(model: Model, options: StemOptions = {}): FusedChains {
  inferTypes(model);
  const groups = groupNodes(model.graph, options);
  for (const group of groups) replaceGroup(model.graph, group);
  if (groups.length > 0) model.graph.sortTopologically();
  const hasFastStem = (group: Group) => [...group.values()].some(({ kind }) => kind === 'stemConv');
  return { chains: groups.length, fastStems: groups.filter(hasFastStem).length };
}

export interface FusedChains {
  readonly chains: number;
  readonly fastStems: number;
}

function inferTypes(model: Model): void {
  for (const node of model.graph.nodes()) {
    const rule = INFER_RULES.get(node.type);
    if (rule !== undefined) inferNode(node, rule, model.opsets.get(node.domain) ?? 1);
  }
}

type Group = ReadonlyMap<Node, ChainNode>;

/** Sets of nodes that can stand in one place: no way leads out of one and back into it. */
function groupNodes(graph: Graph, options: StemOptions): readonly Group[] {
  const members = new Map<Node, ChainNode>();
  for (const node of graph.nodes()) {
    const found = chainNodeOf(node, options);
    if (found !== null) members.set(node, found);
  }
  for (;;) {
    const stages = stagesOf(graph, members);
    const isSplit = (node: Node) =>
      members.get(node)?.kind === 'maxPool' &&
      [node.requiredInput(0).producer, ...node.output.uses.map((use) => use.node)].some(
        (other) => other === null || !members.has(other) || stages.get(other) !== stages.get(node),
      );
    // Signs that were pooled are there as bits only.
    const split = [...members.keys()].filter(isSplit);
    if (split.length === 0) return groupsOf(members, stages);
    for (const node of split) members.delete(node);
  }
}

/** Which chain each member is part of: one that has an input behind another chain and other nodes is in a later one. */
function stagesOf(graph: Graph, members: ReadonlyMap<Node, ChainNode>): ReadonlyMap<Node, number> {
  const stages = new Map<Node, number>();
  for (const node of graph.nodes()) {
    const isMember = members.has(node);
    let stage = isMember ? 0 : -1;
    for (const { producer } of node.inputs.filter((input) => input !== null)) {
      if (producer === null) continue;
      const before = stages.get(producer) ?? -1;
      stage = Math.max(stage, isMember && !members.has(producer) ? before + 1 : before);
    }
    stages.set(node, stage);
  }
  return stages;
}

function groupsOf(members: ReadonlyMap<Node, ChainNode>, stages: ReadonlyMap<Node, number>): readonly Group[] {
  // A chain runs image by image: it is of layers on the same images.
  const groups = new Map<string, Map<Node, ChainNode>>();
  for (const [node, found] of members) {
    const key = JSON.stringify([stages.get(node), node.output.shape?.[0]]);
    const group = groups.get(key) ?? new Map<Node, ChainNode>();
    groups.set(key, group.set(node, found));
  }
  const isChain = (group: Group) =>
    group.size >= LEAST_NODES && [...group.values()].some(({ kind }) => kind === 'conv');
  return [...groups.values()].filter(isChain);
}

function replaceGroup(graph: Graph, group: Group): void {
  const nodes = [...group.keys()];
  const made = new Set(nodes.map((node) => node.output));
  const taken = new Set(Array.from(group, ([node, found]) => dataOf(node, found)).flat());
  const inputs = [...taken].filter((value) => !made.has(value));
  const numbers = new Map<Value, number>([...inputs, ...made].map((value, i) => [value, i]));
  const numberOf = (value: Value): number => {
    const found = numbers.get(value);
    if (found === undefined) throw new Error(`internal: ${value.name} is no part of the chain`);
    return found;
  };
  const steps = Array.from(group, ([node, found]) => stepOf(node, found, numberOf));
  const results = [...made].filter((value) => value.isOutput() || value.uses.some(({ node }) => !group.has(node)));
  const program = encodeChain(inputs.length, steps, results.map(numberOf));
  const [first, last] = [nodes[0], nodes.at(-1)];
  if (first === undefined || last === undefined) throw new Error('internal: an empty chain');
  // Of values, whose names are there and are unique.
  const name = `${first.output.name}…${last.output.name}`;
  const constant = graph.addConstant(graph.freshName(`${name}.program`), tensor('uint8', [program.length], program));
  const chain = graph.addNode(CHAIN, [constant, ...inputs], {
    domain: BNN_DOMAIN,
    name,
    outputs: results.map((value) => graph.freshName(`${value.name}_of_chain`)),
  });
  for (const [i, result] of results.entries()) {
    const output = chain.outputs[i];
    if (output === undefined) throw new Error('internal: a chain without an output');
    output.dtype = result.dtype;
    output.shape = result.shape;
    graph.replaceAllUses(result, output);
  }
  const removed = Array.from(group, ([node, found]) => nodesOf(node, found)).flat();
  for (const node of removed.toReversed()) removeWithConstants(graph, node);
}

function removeWithConstants(graph: Graph, node: Node): void {
  const inputs = new Set(node.inputs);
  graph.removeNode(node);
  for (const value of inputs) {
    if (value?.constant == null || value.uses.length > 0 || value.isOutput() || graph.isInput(value)) continue;
    graph.removeConstant(value);
  }
}

function stepOf(node: Node, found: ChainNode, numberOf: (value: Value) => number): ChainStep {
  const [input = 0, residual] = dataOf(node, found).map(numberOf);
  if (found.kind !== 'conv') return { ...found, input };
  return {
    kind: 'conv',
    node,
    variant: found.variant,
    input,
    residual: residual ?? null,
  };
}
