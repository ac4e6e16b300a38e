import { readFileSync } from 'node:fs';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { fileKindOf } from '../../../src/core/files/file-kind.ts';
import { encodeSafetensors } from '../../../src/core/formats/safetensors.ts';
import { float32 } from '../../../src/core/tensors/tensor.ts';
import { encodeModel } from '../../../src/onnx/encode-model.ts';
import { buildModel, ZOO } from '../../../src/zoo/zoo.ts';
import { hasShared, sharedPath } from '../../convert/shared-files.ts';
import { torchLegacy, torchZip, zipFile } from '../../convert/torch-files.ts';

const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const archive = (...names: string[]): Uint8Array => zipFile(names.map((name) => [name, latin1('x')]));
const padded = (text: string, length: number): string => text + '\0'.repeat(length - text.length);
const HDF5 = '\x89HDF\r\n\x1a\n';

describe('fileKindOf', () => {
  it.each([
    ['a ZIP archive of PyTorch', torchZip({ deflate: false }), 'pytorch'],
    ['a legacy file of PyTorch', torchLegacy(), 'pytorch'],
    ['a legacy file in protocol 0', latin1('L119547037146038801333356L\n.'), 'pytorch'],
    ['a pickle of protocol 4', latin1('\x80\x04\x95\x01\0\0\0\0\0\0\0}.'), 'pytorch'],
    ['safetensors', encodeSafetensors([['w', float32([1], [1])]]), 'safetensors'],
    ['HDF5', latin1(HDF5), 'keras'],
    ['HDF5 behind a user block', latin1(padded('', 1024) + HDF5), 'keras'],
    ['.keras', archive('metadata.json', 'config.json', 'model.weights.h5'), 'keras-archive'],
    ['garbage', Uint8Array.of(0xff, 0xfe, 3, 4), 'unknown'],
  ])('%s', (_, bytes, kind) => {
    expect(fileKindOf(bytes).kind).toBe(kind);
  });

  it.each<[string, Uint8Array, RegExp, RegExp]>([
    ['nothing', new Uint8Array(0), /an empty file/, /completely/],
    ['zeros', new Uint8Array(5000), /zeros/, /completely/],
    [
      'an LFS pointer',
      latin1('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'),
      /Git LFS/,
      /git lfs pull/,
    ],
    ['a page', latin1('\n<!DOCTYPE html>\n<html>'), /HTML page/, /download/],
    ['a page without doctype', latin1('<html lang="en">'), /HTML page/, /download/],
    [
      'an answer of S3',
      latin1('<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>'),
      /answer of a server/,
      /again/,
    ],
    ['an answer in JSON', latin1('{"message": "Not Found"}'), /answer of a server/, /again/],
    ['OpenVINO', latin1('<?xml version="1.0"?>\n<net name="x" version="11">'), /OpenVINO/, /ONNX file/],
    ['npz', archive('w.npy', 'b.npy'), /NumPy arrays \(\.npz\)/, /safetensors\.numpy/],
    ['npy', latin1('\x93NUMPY\x01\x00'), /NumPy array \(\.npy\)/, /safetensors\.numpy/],
    [
      'pt2',
      archive('prog/models/model.json', 'prog/archive_format', 'prog/archive_version'),
      /torch\.export/,
      /state_dict/,
    ],
    ['another archive', archive('a.txt', 'b.onnx'), /ZIP archive of a\.txt, b\.onnx/, /unpack/],
    ['a damaged archive', torchZip({ deflate: false }).subarray(0, 300), /damaged/, /fetch it again/],
    ['gzip', new Uint8Array(gzipSync('x')), /gzip/, /gunzip/],
    ['tar', latin1(`${padded('net.onnx', 257)}ustar\0`), /tar archive/, /unpack/],
    ['tar of an HDF5 file', latin1(`${padded('net.h5', 257)}ustar${'\0'.repeat(250)}${HDF5}`), /tar archive/, /unpack/],
    ['PyTorch of 2016', latin1(`${padded('sys_info', 257)}ustar\0`), /PyTorch of 2016/, /torch\.save/],
    ['tflite', latin1('\x1c\0\0\0TFL3\0'), /TensorFlow Lite/, /--tflite/],
    ['ort', latin1('\x1c\0\0\0ORTM\0'), /own format/, /\.onnx/],
    ['SavedModel', latin1(`\x08\x01\x12\xd0\x8a\x03\x0a\x20${'x'.repeat(40)}`), /SavedModel/, /tf2onnx/],
    ['GraphDef', latin1('\x0a\x2b\x0a\x05input\x12\x0bPlaceholder*\x0d'), /graph of TensorFlow/, /tf2onnx/],
    ['the architecture of Keras', latin1('{"class_name": "Sequential", "config": {}}'), /architecture/, /weights/],
    ['TensorFlow.js', latin1('{"format": "layers-model", "modelTopology": {}}'), /TensorFlow\.js/, /converter/],
    ['an index of safetensors', latin1('{"metadata": {}, "weight_map": {}}'), /index/, /\.safetensors/],
    ['a mapping', latin1('{"input": [1], "layers": [{"op": "sign"}]}'), /mapping/, /--mapping/],
    ['JSON', latin1('{"a": 1}'), /a JSON file/, /network/],
    ['ONNX as text', latin1('ir_version: 8\nproducer_name: "x"\n'), /as text/, /onnx\.save/],
    ['a program', latin1('import torch\n'), /Python/, /weights/],
    ['text', latin1('just a text'), /a text file/, /complete/],
    ['MATLAB', latin1(padded('MATLAB 7.3 MAT-file', 512) + HDF5), /MATLAB/, /ONNX/],
    ['a picture', latin1('\x89PNG\r\n\x1a\n'), /a picture/, /network/],
    ['AppleDouble', latin1('\0\x05\x16\x07\0\x02\0\0'), /macOS/, /\._/],
  ])('%s is named', (_, bytes, what, hint) => {
    const found = fileKindOf(bytes);
    expect(found.kind).toBe('foreign');
    expect(found.what).toMatch(what);
    expect(found.hint).toMatch(hint);
  });

  it('ONNX files of the zoo are ONNX files', () => {
    for (const name of ['binarynet-mini', 'resnet20']) {
      expect(ZOO.has(name)).toBe(true);
      expect(fileKindOf(encodeModel(buildModel(name, { seed: 1 }))).kind).toBe('onnx');
    }
  });

  it('an archive is not unpacked', () => {
    const bomb = zipFile([['bomb', new Uint8Array(5e7)]], (content) => new Uint8Array(deflateRawSync(content)));
    const before = process.memoryUsage().arrayBuffers;
    expect(fileKindOf(bomb).what).toContain('bomb');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e7);
  });

  it.skipIf(!hasShared('foreign'))('ONNX files from elsewhere are ONNX files (skipped without ../shared)', () => {
    for (const name of ['larq-gtsrb-30px', 'brevitas-tfc-1w1a-qonnx', 'finn-multithreshold', 'qonnx-one-layer']) {
      expect(fileKindOf(readFileSync(sharedPath(`foreign/${name}.onnx`))).kind).toBe('onnx');
    }
  });
});
