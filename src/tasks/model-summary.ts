/** The layers of a model with their sizes and costs. */

import { bitsOf } from '../compiler/sizes.ts';
import { type LayerKind, layerStatistics } from '../compiler/statistics.ts';
import type { Shape } from '../graph/graph.ts';
import { inferShapes } from '../graph/infer/infer-shapes.ts';
import type { Model } from '../graph/model.ts';
import { INFER_RULES } from '../operators/registry.ts';

export interface LayerSummary {
  readonly name: string;
  /** `Conv`, `bnn.BinaryConv`. */
  readonly op: string;
  readonly kind: LayerKind;
  readonly input: Shape | null;
  readonly output: Shape | null;
  /** Bits per weight; null when the layer has no parameters. */
  readonly weightBits: number | null;
  /** How many parameters take how many bits each; the next three are in it. */
  readonly parameters: Readonly<Record<number, number>>;
  readonly oneBitParameters: number;
  readonly eightBitParameters: number;
  readonly floatParameters: number;
  /** Of the parameters in deployed form. */
  readonly bytes: number;
  /** Multiply-adds of one picture, null when a shape is unknown: with both operands ±1, and all others. */
  readonly binaryMacs: number | null;
  readonly floatMacs: number | null;
}

export interface ModelSummary {
  readonly layers: readonly LayerSummary[];
  readonly form: 'packed' | 'latent' | 'float';
  /** How many parameters take how many bits each. */
  readonly parameters: Readonly<Record<number, number>>;
  readonly oneBitParameters: number;
  readonly eightBitParameters: number;
  readonly floatParameters: number;
  /** Sum of the layers' bytes. */
  readonly parameterBytes: number;
  /** The same parameters at four bytes each. */
  readonly float32Bytes: number;
  readonly binaryMacs: number;
  readonly floatMacs: number;
  /** Layers whose multiply-adds are not in the sums, because a shape is unknown. */
  readonly unknownLayers: readonly string[];
}

/** Infers shapes (the model gets them) and adds up. */
export function summarizeModel(model: Model): ModelSummary {
  inferShapes(model, INFER_RULES);
  const layers = layerStatistics(model).map((statistics): LayerSummary => {
    const { node, kind, macs, parameters, oneBitParameters, eightBitParameters, floatParameters } = statistics;
    const isBinary = kind === 'binary';
    return {
      name: node.name !== '' ? node.name : node.output.name,
      op: node.type,
      kind,
      input: node.input(0)?.shape ?? null,
      output: node.output.shape,
      weightBits: parameters.size === 0 ? null : Math.min(...parameters.keys()),
      parameters: Object.fromEntries(parameters),
      oneBitParameters,
      eightBitParameters,
      floatParameters,
      bytes: bitsOf(parameters) / 8,
      binaryMacs: isBinary ? macs : 0,
      floatMacs: isBinary ? 0 : macs,
    };
  });
  const sum = (value: (layer: LayerSummary) => number | null): number =>
    layers.reduce((total, layer) => total + (value(layer) ?? 0), 0);
  const parameters: Record<number, number> = {};
  for (const layer of layers) {
    for (const [bits, count] of Object.entries(layer.parameters)) {
      parameters[Number(bits)] = (parameters[Number(bits)] ?? 0) + count;
    }
  }
  return {
    layers,
    form: formOf(model),
    parameters,
    oneBitParameters: parameters[1] ?? 0,
    eightBitParameters: parameters[8] ?? 0,
    floatParameters: parameters[32] ?? 0,
    parameterBytes: sum((layer) => layer.bytes),
    float32Bytes: 4 * Object.values(parameters).reduce((total, count) => total + count, 0),
    binaryMacs: sum((layer) => layer.binaryMacs),
    floatMacs: sum((layer) => layer.floatMacs),
    unknownLayers: layers
      .filter((layer) => layer.binaryMacs === null || layer.floatMacs === null)
      .map(({ name }) => name),
  };
}

function formOf(model: Model): ModelSummary['form'] {
  const nodes = [...model.graph.nodes()];
  if (nodes.some(({ domain, op }) => domain === 'bnn' && op.startsWith('Binary'))) return 'packed';
  return nodes.some((node) => node.is('Sign', 'bnn')) ? 'latent' : 'float';
}
