/** The files of a page that runs a model in a browser. */

import { mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { writeFileAtomic } from '../core/files/atomic-file-io.ts';
import { readRegularFile } from '../core/files/regular-file-io.ts';
import { EngineSession } from '../engine/engine-session.ts';
import { loadEngineModule } from '../engine/load-engine-io.ts';
import { pictureInputOf, preprocessingOf } from '../engine/picture-input.ts';
import { BnnError, fromSystemError, systemErrorCode } from '../errors.ts';
import { decodeModel } from '../onnx/decode-model.ts';
import { refuseForeign } from '../onnx/model-io.ts';
import { BNN_DOMAIN } from '../operators/definition.ts';

export interface Site {
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** What a browser downloads where the server compresses, of the engines one. */
  readonly gzipBytes: number;
}

const PAGE = ['index.html', 'style.css', 'page.js'] as const;
const RUNTIME = 'bnn-web.js';
/** For one thread, and for several where the page may have them. */
const ENGINES = ['engine.wasm', 'engine-threads.wasm'] as const;
const MODEL = 'model.onnx';
const TITLE = 'Binary network';

/**
 * Writes the page, after trying the model in the engine that will run it.
 *
 * @param title  the file's name unless told.
 * @throws {BnnError} E_UNSUPPORTED for a model that the page could not show; E_USAGE for a folder of other things; E_IO.
 */
export async function writeSite(
  modelPath: string,
  folder: string,
  title?: string,
): Promise<Site & { readonly modelBytes: number }> {
  const model = await readRegularFile(modelPath, { expected: 'an ONNX file' });
  await tryModel(model, modelPath);
  const name = title ?? basename(modelPath).replace(/\.onnx$/, '');
  const [html = new Uint8Array(), ...rest] = await Promise.all(PAGE.map((file) => readWebAsset(`site/${file}`)));
  const engines = await Promise.all(
    ENGINES.map(async (file): Promise<[string, Uint8Array]> => [file, await readWebAsset(file)]),
  );
  const contents = new Map<string, Uint8Array>([
    [PAGE[0], titled(html, TITLE, name)],
    ...PAGE.slice(1).map((file, i): [string, Uint8Array] => [file, rest[i] ?? new Uint8Array()]),
    [RUNTIME, await readWebAsset('index.js')],
    ...engines,
    [MODEL, model],
  ]);
  return { ...(await writeSiteFiles(folder, contents, [ENGINES[1]])), modelBytes: model.length };
}

/** A page with another title. */
export function titled(html: Uint8Array, before: string, title: string): Uint8Array {
  const text = new TextDecoder().decode(html);
  return Buffer.from(text.replaceAll(`>${before}<`, () => `>${escapeHtml(title)}<`));
}

/**
 * @param contents  by name.
 * @param others    those that a browser fetches instead of another.
 * @throws {BnnError} E_USAGE for a folder of other things; E_IO.
 */
export async function writeSiteFiles(
  folder: string,
  contents: ReadonlyMap<string, Uint8Array>,
  others: readonly string[],
): Promise<Site> {
  await assertOurs(folder);
  await makeFolder(folder);
  for (const [file, bytes] of contents) await writeFileAtomic(join(folder, file), bytes);
  return {
    files: [...contents].map(([file, bytes]) => ({ name: file, bytes: bytes.length })),
    gzipBytes: [...contents]
      .filter(([file]) => !others.includes(file))
      .reduce((sum, [, bytes]) => sum + gzipSync(bytes).length, 0),
  };
}

/** What the page would say to a visitor is said here instead. */
async function tryModel(bytes: Uint8Array, at: string): Promise<void> {
  refuseForeign(bytes, at);
  const nodes = [...decodeModel(bytes, { at }).graph.nodes()];
  if (!nodes.some(({ domain, op }) => domain === BNN_DOMAIN && op !== 'Sign')) {
    throw new BnnError('E_UNSUPPORTED', 'this is no packed file: it has no layer with weights of one bit', {
      at,
      hint: 'pack it: bnn-export RUN -o model.onnx, or bnn-convert FILE -o latent.onnx --packed model.onnx',
    });
  }
  const session = await EngineSession.create(await loadEngineModule(), bytes, { at });
  const [input] = session.inputs;
  if (input === undefined) throw new BnnError('E_UNSUPPORTED', 'the model has no input', { at });
  pictureInputOf(input);
  preprocessingOf(session.metadata);
  await session.dispose();
}

async function assertOurs(folder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw fromSystemError(error, 'write', folder);
  }
  if (names.length === 0 || names.includes(RUNTIME)) return;
  throw new BnnError('E_USAGE', 'this folder holds other files', { at: folder, hint: 'give -o a new folder' });
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw fromSystemError(error, 'write', folder);
  }
}

/**
 * A file of the built package's dist/web, which a checkout that runs from its sources has too.
 *
 * @throws {BnnError} E_BACKEND when it is not built.
 */
export async function readWebAsset(name: string): Promise<Uint8Array> {
  const path = fileURLToPath(new URL(`../../dist/web/${name}`, import.meta.url));
  try {
    return await readFile(path);
  } catch (cause) {
    throw new BnnError('E_BACKEND', 'the runtime for browsers is not built', {
      at: path,
      hint: 'npm run build',
      cause,
    });
  }
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}
