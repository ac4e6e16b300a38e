/**
 * What `bnn-bench model` compares: a packed file with our operators, in stock onnxruntime, and its full-precision twin, as it is and in
 * 8-bit integers; or a packed file on an execution provider, its twin there, and the packed file on the CPU.
 */

import { lowerToPacked } from '../compiler/lower-to-packed.ts';
import { prepareInt8, quantizeInt8 } from '../compiler/quantize-int8.ts';
import { Rng } from '../core/numbers/rng.ts';
import { elementCount } from '../core/tensors/shape.ts';
import { float32 } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import type { CaseRequest } from '../inference/bench-case.ts';
import type { BenchModel } from '../inference/bench-conv-models.ts';
import type { BenchVariant } from '../inference/bench-timing.ts';
import { calibrate } from '../inference/calibrate.ts';
import { findModel } from '../inference/model-source-io.ts';
import type { ProviderChoice } from '../inference/session.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { readModel } from '../onnx/model-io.ts';
import { buildModel, ZOO } from '../zoo/zoo.ts';
import { summarizeModel } from './model-summary.ts';

/** They tell the ranges of 8-bit integers. */
const CALIBRATION_PICTURES = 4;

export interface ModelCase {
  readonly request: CaseRequest & { readonly batch: number };
  /** What the reader should know. */
  readonly notes: readonly string[];
}

export interface ModelCaseOptions {
  /** A network of the zoo or an ONNX file; unless told, the zoo's `-fp` form of the network that the file is named after. */
  readonly twin?: string | undefined;
  /** The CPU unless told. */
  readonly provider?: ProviderChoice | undefined;
  /** Ours with the stem by Winograd's filtering, on the CPU. */
  readonly fastStem?: boolean | undefined;
}

/**
 * Prepares the comparison. A latent model is packed first.
 *
 * @throws {BnnError} E_UNSUPPORTED for a model without binary layers or of other inputs than one float32 tensor, and for a twin with some.
 */
export async function createModelCase(
  source: string,
  batch: number,
  { twin, provider = {}, fastStem }: ModelCaseOptions,
): Promise<ModelCase> {
  const { path } = await findModel(source);
  const notes: string[] = [];
  const original = await readModel(path);
  const form = summarizeModel(original).form;
  if (form === 'float') {
    throw new BnnError('E_UNSUPPORTED', 'the model has no binary layers', {
      at: path,
      hint: 'give a file written by bnn-export, or a run folder',
    });
  }
  if (form === 'latent') notes.push('the model is in latent form: it was packed for this measurement');
  const model = form === 'latent' ? lowerToPacked(original).model : original;
  const { binaryMacs, floatMacs } = summarizeModel(model);
  const packed = toBenchModel(model, batch, path);
  const { ep = 'cpu' } = provider;
  const found = await findTwin(model, twin);
  const float = found && toBenchModel(found.model, batch, found.at);
  const int8 = found && ep === 'cpu' ? await int8Variant(found, batch, notes) : [];
  if (found === undefined) {
    notes.push(`no full-precision twin: no network of the zoo is called "${twinName(model)}" (see --twin)`);
  }
  const variants: BenchVariant[] =
    ep === 'cpu'
      ? [
          { name: 'ours', ops: true, fastStem, ...packed },
          { name: 'stock-packed', ops: false, ...packed },
          ...(float === undefined ? [] : [{ name: 'stock-fp32', ops: false, ...float }]),
          ...int8,
        ]
      : [
          { name: ep, ops: false, provider, ...packed },
          ...(float === undefined ? [] : [{ name: `${ep}-fp32`, ops: false, provider, ...float }]),
          { name: 'cpu', ops: true, provider: { ep: 'cpu' }, ...packed },
        ];
  return {
    request: {
      name: `${model.graph.name}${batch === 1 ? '' : ` batch ${batch}`}`,
      batch,
      variants,
      operations: 2 * batch * (binaryMacs + floatMacs),
      binaryOperations: 2 * batch * binaryMacs,
    },
    notes,
  };
}

function toBenchModel(model: Model, batch: number, at: string): BenchModel {
  return { bytes: encodeModel(model), feeds: randomFeeds(model, batch, at) };
}

/** @throws {BnnError} E_UNSUPPORTED for other inputs than one float32 tensor, E_SHAPE when the model takes other batches. */
function randomFeeds(model: Model, batch: number, at: string, seed = 1): BenchModel['feeds'] {
  const [input, ...others] = model.graph.inputs;
  const shape = input?.shape?.map((size, axis) => (axis === 0 && typeof size !== 'number' ? batch : size)) ?? [null];
  const sizes = shape.filter((size) => typeof size === 'number');
  if (input === undefined || others.length > 0 || input.dtype !== 'float32' || sizes.length < shape.length) {
    const found = model.graph.inputs.map(({ name, dtype }) => `${name} ${dtype}[${shape.join(', ')}]`).join(', ');
    throw new BnnError(
      'E_UNSUPPORTED',
      `the model takes ${found || 'nothing'}, expected one float32 tensor of known sizes`,
      { at },
    );
  }
  if (sizes[0] !== batch) {
    throw new BnnError('E_SHAPE', `the model takes batches of ${sizes[0]} only`, { at, hint: `--batch ${sizes[0]}` });
  }
  const rng = new Rng(seed);
  const data = Float32Array.from({ length: elementCount(sizes) }, () => rng.normal());
  return { [input.name]: float32(sizes, data) };
}

/** Zoo networks give their graphs their own names; whoever trained one keeps it. */
function twinName({ graph }: Model): string {
  return `${graph.name.replace(/-1w32a$/, '')}-fp`;
}

interface Twin {
  readonly model: Model;
  readonly at: string;
}

async function findTwin(model: Model, twin: string | undefined): Promise<Twin | undefined> {
  if (twin?.endsWith('.onnx') === true) return fullPrecision({ model: await readModel(twin), at: twin });
  const name = twin ?? twinName(model);
  if (twin === undefined && !ZOO.has(name)) return undefined;
  const [, channels, imageSize] = model.graph.inputs[0]?.shape ?? [];
  const classes = model.graph.outputs[0]?.shape?.at(-1);
  const built = buildModel(name, {
    seed: 1,
    ...(typeof channels === 'number' ? { channels } : {}),
    ...(typeof imageSize === 'number' ? { imageSize } : {}),
    ...(typeof classes === 'number' ? { classes } : {}),
  });
  return fullPrecision({ model: built, at: name });
}

function fullPrecision(twin: Twin): Twin {
  if (summarizeModel(twin.model).form === 'float') return twin;
  const name = `${twin.at}-fp`;
  throw new BnnError('E_UNSUPPORTED', 'the twin has binary layers itself, expected the network in full precision', {
    at: twin.at,
    hint: ZOO.has(name)
      ? `--twin ${name}`
      : 'name a network of the zoo that ends in -fp, or an ONNX file of float layers',
  });
}

/** The twin in 8-bit integers, or a note why there is none. */
async function int8Variant({ model, at }: Twin, batch: number, notes: string[]): Promise<BenchVariant[]> {
  try {
    const float = prepareInt8(model);
    const isFree = typeof float.graph.inputs[0]?.shape?.[0] !== 'number';
    const pictures = isFree ? 1 : batch;
    const runs = Math.ceil(CALIBRATION_PICTURES / pictures);
    const feeds = Array.from({ length: runs }, (_, i) => randomFeeds(float, pictures, at, i + 1));
    const int8 = quantizeInt8(float, await calibrate(float, feeds));
    return [{ name: 'stock-int8', ops: false, ...toBenchModel(int8, batch, at) }];
  } catch (error) {
    if (!(error instanceof BnnError)) throw error;
    notes.push(`the full-precision twin is not measured in 8-bit integers: ${error.message}`);
    return [];
  }
}
