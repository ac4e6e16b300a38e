/** Local graph rewrites and the driver that applies them to a fixed point. */

import { BnnError } from '../errors.ts';
import { formatShape } from '../graph/format-type.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import type { RewriteContext } from './context.ts';
import { isMiss, type Miss } from './miss.ts';

export { isMiss, type Miss, miss } from './miss.ts';

/** What the documentation says about a rewrite. */
export interface RewriteDoc {
  readonly before: string;
  readonly after: string;
  readonly requires: string;
  /** `bit-exact`, or what may differ. */
  readonly exactness: string;
}

interface RewriteDefinition<Captures extends object, Context extends RewriteContext> {
  readonly name: string;
  readonly doc: RewriteDoc;
  /** What users should know of it, in words, when it applied so often. */
  readonly tell?: (count: number) => string;
  /** `Node.type` of the nodes where a match may start. */
  readonly roots: readonly string[];
  /** Looks, changes nothing. */
  readonly match: (root: Node, context: Context) => Captures | Miss;
  /** Builds the replacement of the root's first output, in front of the root. The driver does the rest. */
  readonly apply: (root: Node, captures: Captures, context: Context) => Value;
}

/** @template Context  what it needs to know: packing needs more than others. */
export interface Rewrite<Context extends RewriteContext = RewriteContext> {
  readonly name: string;
  readonly doc: RewriteDoc;
  readonly tell: ((count: number) => string) | undefined;
  readonly roots: ReadonlySet<string>;
  /** The replacement of the root's first output, or why there is none. */
  readonly attempt: (root: Node, context: Context) => Value | Miss;
}

export function defineRewrite<Captures extends object, Context extends RewriteContext = RewriteContext>(
  definition: RewriteDefinition<Captures, Context>,
): Rewrite<Context> {
  return {
    name: definition.name,
    doc: definition.doc,
    tell: definition.tell,
    roots: new Set(definition.roots),
    attempt: (root, context) => {
      const captures = definition.match(root, context);
      return isMiss(captures) ? captures : definition.apply(root, captures, context);
    },
  };
}

/** More sweeps than any sensible chain of folds needs; beyond it two rewrites undo each other. */
const MAX_SWEEPS = 1000;

/**
 * From this sweep on, what a rewrite builds is looked at at once: a chain of thousands that each sweep makes shorter by one would take as
 * many sweeps. Networks are done by then.
 */
const FOLLOWING_SWEEP = 32;

/** Applies rewrites until none matches; returns how often each did. At a node, earlier rewrites go first. */
export function applyRewrites<Context extends RewriteContext>(
  rewrites: readonly Rewrite<Context>[],
  context: Context,
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const { graph } = context;
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let isChanged = false;
    const longest = graph.values.size;
    for (const root of graph.nodes()) {
      let next: Node | null = root;
      for (let steps = 0; next !== null && next.$graph === graph; steps++) {
        if (steps > longest) throw endless(rewrites);
        const replacement: Value | null = applyFirst(rewrites, next, context, counts);
        isChanged ||= replacement !== null;
        next = sweep < FOLLOWING_SWEEP ? null : (replacement?.producer ?? null);
      }
    }
    if (!isChanged) return counts;
  }
  throw endless(rewrites);
}

function endless(rewrites: readonly Pick<Rewrite, 'name'>[]): Error {
  return new Error(`internal: rewrites ${rewrites.map(({ name }) => name).join(', ')} do not come to an end`);
}

/** The replacement by the first rewrite that matches at a node; null when none does. */
function applyFirst<Context extends RewriteContext>(
  rewrites: readonly Rewrite<Context>[],
  root: Node,
  context: Context,
  counts: Map<string, number>,
): Value | null {
  for (const rewrite of rewrites) {
    if (!rewrite.roots.has(root.type) || hasOtherReaders(root)) continue;
    const result = rewrite.attempt(root, context);
    if (isMiss(result)) {
      noteMiss(context, root, rewrite.name, result);
      continue;
    }
    replaceOutput(context, root, result, rewrite.name);
    counts.set(rewrite.name, (counts.get(rewrite.name) ?? 0) + 1);
    return result;
  }
  return null;
}

/** A rewrite replaces the first output: what has readers of another one would stay, and match for ever. */
function hasOtherReaders({ outputs }: Node): boolean {
  return outputs.some((output, i) => i > 0 && (output.uses.length > 0 || output.isOutput()));
}

function noteMiss(context: RewriteContext, root: Node, rewrite: string, found: Miss): void {
  const misses = context.misses.get(root) ?? new Map<string, Miss>();
  misses.set(rewrite, found);
  context.misses.set(root, misses);
}

function replaceOutput({ graph, names }: RewriteContext, root: Node, replacement: Value, rewrite: string): void {
  const { output } = root;
  if (output.dtype !== null && replacement.dtype !== null && output.dtype !== replacement.dtype) {
    throw contradiction(root, output.dtype, replacement.dtype, rewrite);
  }
  if (contradict(output.shape, replacement.shape)) {
    throw contradiction(root, formatShape(output.shape), formatShape(replacement.shape), rewrite);
  }
  replacement.dtype ??= output.dtype;
  // Inference may have known more about the value that is replaced, e.g. the name of the batch dimension.
  if (output.shape !== null) replacement.shape = output.shape;
  names.inherit(replacement, output);
  if (replacement.producer?.type === root.type) names.inherit(replacement.producer, root);
  graph.replaceAllUses(output, replacement);
  removeDead(graph, root);
}

/** Where inference knows nothing of an operator, its result is what the file declares. */
function contradiction(root: Node, declared: string, computed: string, rewrite: string): BnnError {
  return new BnnError(
    'E_SHAPE',
    `${root.output.name} is ${declared} where it stands, but ${computed} by what computes it (${rewrite})`,
    {
      at: root.describe(),
      hint: 'the types that the file declares contradict its operators: export it again, or remove its value_info',
    },
  );
}

function contradict(a: Value['shape'], b: Value['shape']): boolean {
  if (a === null || b === null) return false;
  if (a.length !== b.length) return true;
  return a.some((size, i) => typeof size === 'number' && typeof b[i] === 'number' && size !== b[i]);
}

/** Removes a node when nothing reads it, then in turn the nodes and constants that only it read. */
export function removeDead(graph: Graph, node: Node): void {
  const pending = [node];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const isRead = next.outputs.some((output) => output.uses.length > 0 || output.isOutput());
    if (isRead || next.$graph !== graph) continue;
    const inputs = next.inputs;
    graph.removeNode(next);
    for (const input of new Set(inputs)) {
      if (input === null || input.uses.length > 0 || input.isOutput()) continue;
      if (input.constant !== null) graph.removeConstant(input);
      else if (input.producer !== null) pending.push(input.producer);
    }
  }
}
