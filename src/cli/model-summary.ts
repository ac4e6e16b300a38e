/** The figures of `bnn-inspect`. */

import type { Shape, Value } from '../graph/graph.ts';
import { inferShapes } from '../graph/infer/infer-shapes.ts';
import { STANDARD_RULES } from '../graph/infer/standard-rules.ts';
import type { Model } from '../graph/model.ts';
import { type LayerKind, layerStatistics } from '../graph/statistics.ts';
import { BNN_RULES } from '../operators/registry.ts';

export interface LayerSummary {
  readonly name: string;
  /** `Conv`, `bnn.BinaryConv`. */
  readonly op: string;
  readonly kind: LayerKind;
  readonly input: Shape | null;
  readonly output: Shape | null;
  /** Bits per weight; null when the layer has no parameters. */
  readonly weightBits: 1 | 8 | 32 | null;
  readonly oneBitParameters: number;
  readonly eightBitParameters: number;
  readonly floatParameters: number;
  /** Of the parameters in deployed form: one bit, one byte or four bytes each. */
  readonly bytes: number;
  /** Multiply-adds of one picture, null when a shape is unknown: with both operands ±1, and all others. */
  readonly binaryMacs: number | null;
  readonly floatMacs: number | null;
}

export interface ModelSummary {
  readonly layers: readonly LayerSummary[];
  readonly form: 'packed' | 'latent' | 'float';
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
  inferShapes(model, new Map([...STANDARD_RULES, ...BNN_RULES]));
  const layers = layerStatistics(model).map((statistics): LayerSummary => {
    const { node, kind, macs, oneBitParameters, eightBitParameters, floatParameters } = statistics;
    const isBinary = kind === 'binary';
    return {
      name: node.name !== '' ? node.name : node.output.name,
      op: node.type,
      kind,
      input: node.input(0)?.shape ?? null,
      output: node.output.shape,
      weightBits: oneBitParameters > 0 ? 1 : eightBitParameters > 0 ? 8 : floatParameters > 0 ? 32 : null,
      oneBitParameters,
      eightBitParameters,
      floatParameters,
      bytes: oneBitParameters / 8 + eightBitParameters + floatParameters * 4,
      binaryMacs: isBinary ? macs : 0,
      floatMacs: isBinary ? 0 : macs,
    };
  });
  const sum = (value: (layer: LayerSummary) => number | null): number =>
    layers.reduce((total, layer) => total + (value(layer) ?? 0), 0);
  const oneBitParameters = sum((layer) => layer.oneBitParameters);
  const eightBitParameters = sum((layer) => layer.eightBitParameters);
  const floatParameters = sum((layer) => layer.floatParameters);
  return {
    layers,
    form: formOf(model),
    oneBitParameters,
    eightBitParameters,
    floatParameters,
    parameterBytes: sum((layer) => layer.bytes),
    float32Bytes: (oneBitParameters + eightBitParameters + floatParameters) * 4,
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

/** `conv1.weight`-like facts of inputs and outputs for the head of the report. */
export function describeValues(values: readonly Value[], format: (value: Value) => string): string {
  return values.map((value) => `${value.name} ${format(value)}`).join(', ');
}
