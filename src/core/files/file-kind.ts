// biome-ignore-all lint/suspicious/noControlCharactersInRegex: the first bytes of files are what the expressions are for.
/** What a file is, told by its first bytes and by the names in an archive, whatever it is called. */

import { isZip, readZip } from '../formats/zip.ts';
import { foreignBinary, foreignText } from './foreign-files.ts';

export interface FileKind {
  /** `foreign`: known, but not read; `unknown`: anything else, so that reading it says what is wrong. */
  readonly kind: 'onnx' | 'pytorch' | 'keras' | 'keras-archive' | 'safetensors' | 'foreign' | 'unknown';
  /** Goes behind "this is". */
  readonly what: string;
  /** What to do where something else is expected. */
  readonly hint?: string | undefined;
}

const CHECKPOINT_HINT = 'bnn-convert makes an ONNX file of it, with --network or --mapping (see docs/convert.md)';
/** Of a file of text, as much is looked at. */
const HEAD_BYTES = 4096;

/** @param bytes  of the whole file. Cost: that of listing the archive where it is one. */
export function fileKindOf(bytes: Uint8Array): FileKind {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, HEAD_BYTES)).toString('latin1');
  if (head === '') {
    return { kind: 'foreign', what: 'an empty file', hint: 'the file was not copied or downloaded completely' };
  }
  if (isZip(bytes)) return kindOfArchive(bytes);
  if (isSafetensors(bytes)) return { kind: 'safetensors', what: 'a safetensors file', hint: CHECKPOINT_HINT };
  if (PICKLE.test(head))
    return { kind: 'pytorch', what: 'a checkpoint of PyTorch, or another pickle', hint: CHECKPOINT_HINT };
  const foreign = foreignBinary(head) ?? (isText(head, bytes.length > HEAD_BYTES) ? foreignText(head) : undefined);
  if (foreign !== undefined) return { kind: 'foreign', ...foreign };
  if (isHdf5(bytes)) return { kind: 'keras', what: 'an HDF5 file, as Keras writes checkpoints', hint: CHECKPOINT_HINT };
  if (ONNX.test(head)) return { kind: 'onnx', what: 'an ONNX file' };
  return { kind: 'unknown', what: 'a file of no kind that is known here' };
}

/** A field of ModelProto with the wire type that it has. */
const ONNX = /^(?:[\x08\x12\x1a\x22\x28\x32\x3a\x42\x72]|[\xa2\xca]\x01)/;

/** Protocol 2 and later; protocols 0 and 1: PyTorch's magic number, a dict, a class. */
const PICKLE =
  /^(?:\x80[\x02-\x05]|L119547037146038801333356L\n|\([dl]p|\}q\x00|c(?:collections|numpy|torch|copy_?reg|__builtin__|builtins)[\w.]*\n)/;

function isSafetensors(bytes: Uint8Array): boolean {
  // The length of a header below 4 GB, and the header.
  return bytes.length > 8 && bytes[8] === 0x7b && [4, 5, 6, 7].every((at) => bytes[at] === 0);
}

const HDF5 = Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a);

/** The signature stands at 0, or behind a user block of 512, 1024, 2048 … bytes. */
export function isHdf5(bytes: Uint8Array): boolean {
  for (let at = 0; at + HDF5.length <= bytes.length; at = at === 0 ? 512 : 2 * at) {
    if (HDF5.every((byte, i) => bytes[at + i] === byte)) return true;
  }
  return false;
}

/** Valid UTF-8 without control characters; `isCut`: more follows. */
function isText(head: string, isCut: boolean): boolean {
  if (/[\x00-\x08\x0b\x0e-\x1f\x7f]/.test(head)) return false;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(head, 'latin1'), { stream: isCut });
    return true;
  } catch {
    return false;
  }
}

/** The file of weights in a `.keras` file. */
export const KERAS_WEIGHTS = 'model.weights.h5';
const MOST_NAMES = 4;

function kindOfArchive(bytes: Uint8Array): FileKind {
  let names: string[];
  try {
    names = [...readZip(bytes).keys()];
  } catch {
    return {
      kind: 'foreign',
      what: 'a ZIP archive, as PyTorch and Keras write checkpoints, but a damaged one',
      hint: 'the file is truncated or damaged: fetch it again',
    };
  }
  const has = (pattern: RegExp): boolean => names.some((name) => pattern.test(name));
  if (has(/(^|\/)archive_format$/) || (has(/(^|\/)models\/[^/]*\.json$/) && has(/(^|\/)archive_version$/))) {
    return {
      kind: 'foreign',
      what: 'a program exported by PyTorch (torch.export, .pt2)',
      hint: 'in Python, torch.save(dict(torch.export.load(path).state_dict), "net.pt"), or write ONNX with torch.onnx.export',
    };
  }
  if (has(/(^|\/)data\.pkl$/)) return { kind: 'pytorch', what: 'a checkpoint of PyTorch', hint: CHECKPOINT_HINT };
  if (names.includes(KERAS_WEIGHTS)) return { kind: 'keras-archive', what: 'a .keras file', hint: CHECKPOINT_HINT };
  if (names.length > 0 && names.every((name) => name.endsWith('.npy'))) {
    return {
      kind: 'foreign',
      what: 'an archive of NumPy arrays (.npz)',
      hint: 'in Python, safetensors.numpy.save_file(dict(numpy.load(path)), "net.safetensors"): such files are read',
    };
  }
  const shown = names.slice(0, MOST_NAMES).join(', ') + (names.length > MOST_NAMES ? ', …' : '');
  return {
    kind: 'foreign',
    what: `a ZIP archive of ${shown === '' ? 'nothing' : shown}`,
    hint: 'unpack it, and give the file of the network that is in it',
  };
}
