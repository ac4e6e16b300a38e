/** Reads what `bnn-convert` is given: an ONNX file, or a checkpoint of PyTorch or Keras with the network that it belongs to. */

import { readFile } from 'node:fs/promises';
import { convertCheckpoint } from '../convert/checkpoint/convert-checkpoint.ts';
import { KERAS, type Mapping, PYTORCH, parseMapping } from '../convert/checkpoint/mapping.ts';
import { type Converted, convertOnnx } from '../convert/convert-onnx.ts';
import { type KerasCheckpoint, readKerasCheckpoint } from '../convert/keras/keras-checkpoint.ts';
import { type PytorchCheckpoint, readPytorchCheckpoint } from '../convert/pytorch/read-checkpoint.ts';
import type { SignZero } from '../convert/sign-log.ts';
import { toStandardForm } from '../convert/standard-form.ts';
import { BnnError, fromSystemError } from '../errors.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { readSizedModel } from '../onnx/model-io.ts';

export interface SourceOptions {
  readonly signZero: SignZero;
  readonly network?: string;
  /** Path of a mapping file. */
  readonly mapping?: string;
  /** What stands in front of the names of a checkpoint. */
  readonly prefix?: string;
}

export interface ConvertedSource extends Converted {
  /** Size of the file that was read, and of those that hold its tensors. */
  readonly sourceBytes: number;
  /** Bytes of what the result is compared with. */
  readonly reference: Uint8Array;
  /** Bytes of the source in standard operators, for a source that onnxruntime turns out to refuse. */
  readonly translation?: () => Uint8Array;
}

/** @throws {BnnError} E_USAGE when the options do not go with the kind of file, and what reading and conversion throw. */
export async function convertSource(path: string, options: SourceOptions): Promise<ConvertedSource> {
  return checkpointKind(path) === null ? convertGraph(path, options) : convertWeights(path, options);
}

async function convertGraph(path: string, options: SourceOptions): Promise<ConvertedSource> {
  const { signZero, network, mapping, prefix } = options;
  if (network !== undefined || mapping !== undefined || prefix !== undefined) {
    throw new BnnError('E_USAGE', '--network, --mapping and --prefix are for PyTorch and Keras checkpoints', {
      at: path,
    });
  }
  const { model: source, fileBytes: sourceBytes } = await readSizedModel(path);
  const converted = convertOnnx(source, { signZero, at: path });
  // A stock onnxruntime is the better judge of a file that it can read; in half precision it rounds what is compared.
  const isStock =
    [...source.graph.nodes()].every(({ domain }) => domain === '' || domain.startsWith('ai.onnx')) &&
    [...source.graph.inputs, ...source.graph.outputs].every(({ dtype }) => dtype === 'float32');
  const translation = () => encodeModel(toStandardForm(source, path).model);
  const reference = isStock ? encodeModel(source) : translation();
  return { ...converted, reference, translation, sourceBytes };
}

async function convertWeights(path: string, options: SourceOptions): Promise<ConvertedSource> {
  const { signZero, network, prefix } = options;
  const checkpoint = await readCheckpoint(path);
  const conventions = checkpoint.kind === 'keras' ? KERAS : PYTORCH;
  let mapping: Mapping | undefined;
  if (options.mapping !== undefined) {
    const text = new TextDecoder().decode(await readBytes(options.mapping));
    mapping = parseMapping(text, options.mapping, conventions);
  }
  const converted = convertCheckpoint(checkpoint, { signZero, network, mapping, prefix, at: path });
  const reference = encodeModel(toStandardForm(converted.source, path).model);
  return { ...converted, reference, sourceBytes: checkpoint.fileBytes };
}

type Checkpoint = { readonly fileBytes: number } & (
  | ({ readonly kind: 'pytorch' } & PytorchCheckpoint)
  | ({ readonly kind: 'keras' } & KerasCheckpoint)
);

/** By the name of the file; null for anything but a checkpoint. */
export function checkpointKind(path: string): Checkpoint['kind'] | null {
  if (/\.(h5|hdf5)$/i.test(path)) return 'keras';
  return /\.(pt|pth|pth\.tar|ckpt|bin)$/i.test(path) ? 'pytorch' : null;
}

/** @throws {BnnError} as the reader of its kind. */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const bytes = await readBytes(path);
  const fileBytes = bytes.byteLength;
  return checkpointKind(path) === 'keras'
    ? { kind: 'keras', fileBytes, ...(await readKerasCheckpoint(bytes, path)) }
    : { kind: 'pytorch', fileBytes, ...readPytorchCheckpoint(bytes, path) };
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw fromSystemError(error, 'read', path);
  }
}
