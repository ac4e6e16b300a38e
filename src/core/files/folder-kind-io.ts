/** Folders that are met where a file of a network is expected. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface FolderKind {
  /** Goes behind "this is". */
  readonly what: string;
  /** What to do, where there is something better than to give a file. */
  readonly hint?: string;
}

/** Of names in a folder; the first that fits. */
const KINDS: readonly (readonly [pattern: RegExp, what: string, hint: string])[] = [
  [
    /^(saved_model\.pb(txt)?|keras_metadata\.pb)$/,
    'a SavedModel of TensorFlow',
    'write an ONNX file with tf2onnx: python -m tf2onnx.convert --saved-model FOLDER --output net.onnx',
  ],
  [
    /\.distcp$/,
    'a distributed checkpoint of PyTorch',
    'python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER net.pt',
  ],
  [/^data\.pkl$/, 'an unpacked checkpoint of PyTorch', 'give the .pt file that it was unpacked from'],
  [/^Manifest\.json$/, 'a package of Core ML, or the like', 'give the ONNX file that it was made of'],
];
/** Files that are read, those that say most first. */
const READABLE = [/\.onnx$/i, /\.safetensors$/i, /\.(pt|pth|ckpt)$/i, /\.(keras|h5|hdf5)$/i, /\.bin$/i];
const SHARDS = /^group\d+-shard\d+of\d+(\.bin)?$/;

/** @param path  of an existing folder. */
export async function describeFolder(path: string): Promise<FolderKind> {
  const names = await readdir(path).catch(() => []);
  for (const [pattern, what, hint] of KINDS) {
    if (names.some((name) => pattern.test(name))) return { what: `the folder of ${what}`, hint };
  }
  if (names.some((name) => SHARDS.test(name))) {
    return {
      what: 'the folder of a network of TensorFlow.js',
      hint: 'in Python, tensorflowjs_converter --input_format=tfjs_layers_model --output_format=keras model.json net.h5',
    };
  }
  for (const pattern of READABLE) {
    const found = names.find((name) => pattern.test(name));
    if (found !== undefined) return { what: 'a folder', hint: `give the file in it: ${join(path, found)}` };
  }
  return { what: names.length === 0 ? 'an empty folder' : 'a folder' };
}
