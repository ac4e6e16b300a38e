import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import {
  isRuntimeLibrary,
  nativeFiles,
  PLATFORMS,
  platformName,
  platformPackage,
} from '../../../src/core/machine/native-files.ts';

it('names the files of each system', () => {
  expect(nativeFiles('linux').operators).toBe('libbnn_ops.so');
  expect(nativeFiles('darwin').operators).toBe('libbnn_ops.dylib');
  expect(nativeFiles('win32')).toEqual({
    training: 'bnn_native.node',
    session: 'bnn_ort.node',
    operators: 'bnn_ops.dll',
  });
});

/** Node's own report of the C library that it runs on. */
const report = process.report.getReport() as unknown as { readonly header: { readonly glibcVersionRuntime?: string } };

it.skipIf(report.header.glibcVersionRuntime === undefined)('takes a system with glibc for one', () => {
  expect(platformName()).toBe(`linux-${process.arch}`);
});

it('packages are scoped', () => {
  expect(PLATFORMS.map(platformPackage)).toContain('@bnn-toolchain/linux-x64-musl');
});

it.each([
  ['libonnxruntime.so.1', true],
  ['libonnxruntime.so.1.17.3', true],
  ['libonnxruntime.1.30.0.dylib', true],
  ['onnxruntime.dll', true],
  ['libonnxruntime_providers_shared.so', false],
  ['onnxruntime_binding.node', false],
  ['DirectML.dll', false],
])('%s is the library of onnxruntime: %s', (name, expected) => expect(isRuntimeLibrary(name)).toBe(expected));

const RUNTIME = fileURLToPath(
  new URL(`../../../node_modules/onnxruntime-node/bin/napi-v6/${process.platform}/${process.arch}`, import.meta.url),
);

it.skipIf(!existsSync(RUNTIME))('onnxruntime-node has such a file for this machine', () => {
  expect(readdirSync(RUNTIME).filter(isRuntimeLibrary).length).toBeGreaterThan(0);
});
