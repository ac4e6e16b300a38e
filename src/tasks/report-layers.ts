/** The layers of a trained network as they are deployed: sizes, costs and times. */

import { lowerToPacked } from '../compiler/lower-to-packed.ts';

import { BnnError } from '../errors.ts';
import { formatShape } from '../graph/format-type.ts';
import type { Node, Shape } from '../graph/graph.ts';
import type { Model } from '../graph/model.ts';
import { measureLayers } from '../inference/layer-times-io.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import type { LayerRow, LayerTable } from '../report/page/layers-html.ts';
import { summarizeModel } from './model-summary.ts';

export interface DeployedLayers {
  readonly table: LayerTable;
  /** The packed file; null where the network cannot be packed. */
  readonly packed: Uint8Array | null;
}

/** @param latent  changed: shapes are inferred. */
export async function deployLayers(latent: Model): Promise<DeployedLayers> {
  let model: Model;
  try {
    ({ model } = lowerToPacked(latent));
  } catch (error) {
    if (!(error instanceof BnnError)) throw error;
    const remark = `Sizes are those of the deployed file; speed is not known, since the network cannot be packed: ${error.message}.`;
    return { table: { rows: rowsOf(latent, new Map()), otherMicroseconds: null, remark }, packed: null };
  }
  const packed = encodeModel(model);
  try {
    const { microseconds, hasOps, runs } = await measureLayers(packed, inputShape(model));
    const { times, other } = assignTimes(model, microseconds);
    const kernels = hasOps ? 'our kernels for binary layers' : 'stock operators';
    const remark = `The network as it is deployed: sizes in its packed file, and the median time of ${runs} runs on one picture, onnxruntime with one thread and ${kernels} on the machine that made this page.`;
    return { table: { rows: rowsOf(model, times), otherMicroseconds: other, remark }, packed };
  } catch (error) {
    const remark = `Sizes are those of the packed file; speed could not be measured: ${error instanceof Error ? error.message : error}`;
    return { table: { rows: rowsOf(model, new Map()), otherMicroseconds: null, remark }, packed };
  }
}

function inputShape({ graph }: Model): number[] {
  const shape: Shape = graph.inputs[0]?.shape ?? [];
  return shape.map((size, axis) => (typeof size === 'number' ? size : axis === 0 ? 1 : 0));
}

function rowsOf(model: Model, times: ReadonlyMap<string, number>): LayerRow[] {
  return summarizeModel(model).layers.map((layer) => ({
    name: layer.name,
    op: layer.op,
    input: formatShape(layer.input),
    output: formatShape(layer.output),
    bits: layer.weightBits,
    parameters: Object.values(layer.parameters).reduce((sum, count) => sum + count, 0),
    bytes: layer.bytes,
    binaryMacs: layer.binaryMacs,
    floatMacs: layer.floatMacs,
    microseconds: times.get(layer.name) ?? null,
  }));
}

interface AssignedTimes {
  /** By layer. */
  readonly times: ReadonlyMap<string, number>;
  readonly other: number;
}

/**
 * onnxruntime fuses nodes and renames them: `conv1` and `relu` become `relu_nchwc`, `bn1` becomes `bn1_bn_nchwc`. A layer that has no
 * time of its own gets that of the node behind it, which took it in.
 */
function assignTimes(model: Model, microseconds: ReadonlyMap<string, number>): AssignedTimes {
  const nodes = new Map<string, Node>();
  for (const node of model.graph.nodes()) nodes.set(nameOf(node), node);
  const byNode = new Map<string, number>();
  let other = 0;
  for (const [name, time] of microseconds) {
    const known = originalName(name, nodes);
    if (known === null) other += time;
    else byNode.set(known, (byNode.get(known) ?? 0) + time);
  }
  const times = new Map<string, number>();
  const layers = summarizeModel(model).layers.map(({ name }) => name);
  for (const layer of layers) {
    const own = byNode.has(layer) ? layer : nextNode(nodes.get(layer));
    const time = byNode.get(own ?? '');
    if (own === null || time === undefined || (own !== layer && layers.includes(own))) continue;
    times.set(layer, time);
    byNode.delete(own);
  }
  for (const time of byNode.values()) other += time;
  return { times, other };
}

const SUFFIX = /(_nchwc|_bn|_token_\d+|_\d+)$/;

/** Null for one that onnxruntime put in. */
function originalName(name: string, nodes: ReadonlyMap<string, Node>): string | null {
  for (let at = name; ; at = at.replace(SUFFIX, '')) {
    if (nodes.has(at)) return at;
    if (!SUFFIX.test(at)) return null;
  }
}

/** The only node that reads the result. */
function nextNode(node: Node | undefined): string | null {
  const [use, ...others] = node === undefined ? [] : [...node.output.uses];
  return use === undefined || others.length > 0 ? null : nameOf(use.node);
}

function nameOf(node: Node): string {
  return node.name !== '' ? node.name : node.output.name;
}
