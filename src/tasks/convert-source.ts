/** Reads what is to be converted: an ONNX file, or a checkpoint with the network that it belongs to. */

import { convertCheckpoint } from '../convert/checkpoint/convert-checkpoint.ts';
import { KERAS, type Mapping, PYTORCH, parseMapping } from '../convert/checkpoint/mapping.ts';
import { type Converted, convertOnnx } from '../convert/convert-onnx.ts';
import { readKerasArchive } from '../convert/keras/keras-archive.ts';
import { type KerasCheckpoint, readKerasCheckpoint } from '../convert/keras/keras-checkpoint.ts';
import { type PytorchCheckpoint, readPytorchCheckpoint } from '../convert/pytorch/read-checkpoint.ts';
import type { SignZero } from '../convert/signs/sign-log.ts';
import { toStandardForm } from '../convert/standard/standard-form.ts';
import { fileKindOf } from '../core/files/file-kind.ts';
import { readRegularFile } from '../core/files/regular-file-io.ts';
import { decodeSafetensors, type Safetensors } from '../core/formats/safetensors.ts';
import type { Dtype } from '../core/tensors/tensor.ts';
import { BnnError } from '../errors.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { readSizedModel } from '../onnx/model-io.ts';

export interface SourceOptions {
  /** What a sign that gives 0 at 0 becomes: `exact` (unless told) keeps it, and its layers ternary; `plus` makes it +1. */
  readonly signZero?: SignZero | undefined;
  /** Of a checkpoint: the network of the zoo that it belongs to. */
  readonly network?: string | undefined;
  /** Path of a mapping file. */
  readonly mapping?: string | undefined;
  /** What stands in front of the names of a checkpoint. */
  readonly prefix?: string | undefined;
}

export interface ConvertedSource extends Converted {
  /** Size of the file that was read, and of those that hold its tensors. */
  readonly sourceBytes: number;
  /** Paths of those that hold its tensors. */
  readonly externalFiles: readonly string[];
  /** Bytes of what the result is compared with. */
  readonly reference: Uint8Array;
  /** Bytes of the source in standard operators, for a source that onnxruntime turns out to refuse. */
  readonly translation?: () => Uint8Array;
}

/** Types that a conversion widens to float32. */
const WIDENED: ReadonlySet<Dtype> = new Set(['float16', 'bfloat16', 'float64']);

/** @throws {BnnError} E_USAGE when the options do not go with the kind of file, and what reading and conversion throw. */
export async function convertSource(path: string, options: SourceOptions): Promise<ConvertedSource> {
  const source = await readSource(path);
  return source.kind === 'onnx' ? convertGraph(path, options) : convertWeights(path, source, options);
}

async function convertGraph(path: string, options: SourceOptions): Promise<ConvertedSource> {
  const { signZero = 'exact', network, mapping, prefix } = options;
  if (network !== undefined || mapping !== undefined || prefix !== undefined) {
    throw new BnnError('E_USAGE', '--network, --mapping and --prefix are for checkpoints, this is an ONNX file', {
      at: path,
    });
  }
  const { model: source, fileBytes: sourceBytes, externalFiles } = await readSizedModel(path);
  const converted = convertOnnx(source, { signZero, at: path });
  // A stock onnxruntime is the better judge of a file that it can read; in half precision it rounds what is compared.
  const isStock =
    [...source.graph.nodes()].every(({ domain }) => domain === '' || domain.startsWith('ai.onnx')) &&
    [...source.graph.inputs, ...source.graph.outputs].every(({ dtype }) => dtype === null || !WIDENED.has(dtype));
  const translation = () => encodeModel(toStandardForm(source, path).model);
  const reference = isStock ? encodeModel(source) : translation();
  return { ...converted, reference, translation, sourceBytes, externalFiles };
}

async function convertWeights(path: string, checkpoint: Checkpoint, options: SourceOptions): Promise<ConvertedSource> {
  const { signZero = 'exact', network, prefix } = options;
  const conventions = checkpoint.kind === 'keras' ? KERAS : PYTORCH;
  let mapping: Mapping | undefined;
  if (options.mapping !== undefined) {
    const text = new TextDecoder().decode(await readRegularFile(options.mapping, { expected: 'a mapping' }));
    mapping = parseMapping(text, options.mapping, conventions);
  }
  const converted = convertCheckpoint(checkpoint, { signZero, network, mapping, prefix, at: path });
  const reference = encodeModel(toStandardForm(converted.source, path).model);
  return { ...converted, reference, sourceBytes: checkpoint.fileBytes, externalFiles: [] };
}

export type Checkpoint = { readonly fileBytes: number } & (
  | ({ readonly kind: 'pytorch' } & PytorchCheckpoint)
  | ({ readonly kind: 'safetensors' } & Safetensors)
  | ({ readonly kind: 'keras' } & KerasCheckpoint)
);

const EXPECTED = 'an ONNX file or a checkpoint (.pt, .pth, .safetensors, .h5, .keras)';

/**
 * Finds out what a file is by its first bytes, and reads it when it is a checkpoint.
 *
 * @throws {BnnError} E_FORMAT for a file of another kind, and as the reader of its kind.
 */
export async function readSource(path: string): Promise<Checkpoint | { readonly kind: 'onnx' }> {
  const bytes = await readRegularFile(path, { expected: EXPECTED });
  const fileBytes = bytes.byteLength;
  const { kind, what, hint } = fileKindOf(bytes);
  switch (kind) {
    case 'onnx':
      return { kind };
    case 'pytorch':
      return { kind, fileBytes, ...readPytorchCheckpoint(bytes, path) };
    case 'safetensors':
      return { kind, fileBytes, ...decodeSafetensors(bytes, path) };
    case 'keras':
      return { kind, fileBytes, ...(await readKerasCheckpoint(bytes, path)) };
    case 'keras-archive':
      return { kind: 'keras', fileBytes, ...(await readKerasArchive(bytes, path)) };
    default:
      // What a damaged ONNX file lacks, its reader says better.
      if (kind === 'unknown' && /\.onnx$/i.test(path)) return { kind: 'onnx' };
      throw new BnnError('E_FORMAT', `this is ${what}, expected ${EXPECTED}`, {
        at: path,
        hint: hint ?? 'check that the file was copied or downloaded completely',
      });
  }
}
