/** The CUDA files of onnxruntime from a download that was brought by hand. */

import { statSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isZip, readZip } from '../core/formats/zip.ts';
import { BnnError, fromSystemError } from '../errors.ts';

/** The package on nuget.org that has them, and the page where a browser fetches it. */
export const CUDA_PACKAGE = 'Microsoft.ML.OnnxRuntime.Gpu.Linux';
export function cudaPackageUrl(version: string): string {
  return `https://www.nuget.org/api/v2/package/${CUDA_PACKAGE}/${version}`;
}

/**
 * Puts files into the folder of onnxruntime's libraries.
 *
 * @param from     the NuGet package, or a folder with the files.
 * @param names    the files that are wanted.
 * @param version  of onnxruntime-node; a package that tells another one is refused, since its files would not load.
 * @throws {BnnError} E_NOT_FOUND for what is not there, E_FORMAT for what is no such package or of another version.
 */
export async function bringCudaFiles(
  from: string,
  folder: string,
  names: readonly string[],
  version: string,
): Promise<void> {
  const isFolder = statSync(from, { throwIfNoEntry: false })?.isDirectory();
  if (isFolder === undefined) {
    throw new BnnError('E_NOT_FOUND', 'there is no such file', { at: from, hint: `fetch ${cudaPackageUrl(version)}` });
  }
  try {
    await mkdir(folder, { recursive: true });
    await (isFolder ? copyFrom(from, folder, names, version) : unpackFrom(from, folder, names, version));
  } catch (error) {
    throw error instanceof BnnError ? error : fromSystemError(error, 'copy the CUDA files', folder);
  }
}

async function copyFrom(from: string, folder: string, names: readonly string[], version: string): Promise<void> {
  const there = await readdir(from);
  assertAll(names, new Set(there), from, version);
  for (const name of names) await copyFile(join(from, name), join(folder, name));
}

async function unpackFrom(from: string, folder: string, names: readonly string[], version: string): Promise<void> {
  const bytes = await readFile(from);
  if (!isZip(bytes)) {
    throw new BnnError('E_FORMAT', `no NuGet package (.nupkg, which is a ZIP archive)`, {
      at: from,
      hint: `fetch ${cudaPackageUrl(version)}, or give a folder with ${names.join(', ')}`,
    });
  }
  const entries = new Map(Array.from(readZip(bytes, from).values(), (entry) => [basename(entry.name), entry]));
  const own = /<version>([^<]+)<\/version>/.exec(textOf(entries.get(`${CUDA_PACKAGE}.nuspec`)))?.[1];
  if (own !== undefined && own !== version) {
    throw new BnnError('E_FORMAT', `the package is of onnxruntime ${own}, the onnxruntime-node here is ${version}`, {
      at: from,
      hint: `fetch ${cudaPackageUrl(version)}`,
    });
  }
  assertAll(names, new Set(entries.keys()), from, version);
  for (const name of names) await writeFile(join(folder, name), entries.get(name)?.read() ?? new Uint8Array());
}

function textOf(entry: { read(): Uint8Array } | undefined): string {
  return entry === undefined ? '' : new TextDecoder().decode(entry.read());
}

function assertAll(names: readonly string[], there: ReadonlySet<string>, at: string, version: string): void {
  const missing = names.filter((name) => !there.has(name));
  if (missing.length === 0) return;
  throw new BnnError('E_NOT_FOUND', `it has no ${missing.join(', ')}`, {
    at,
    hint: `fetch ${cudaPackageUrl(version)}`,
  });
}
