/**
 * `bnn-bench web`: packed models on our WebAssembly runtime against onnxruntime-web, on the same files and on their float twins, with as
 * many threads, in one page of one browser.
 */

import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { lowerToPacked } from '../compiler/lower-to-packed.ts';
import { median, quantile } from '../core/numbers/quantile.ts';
import { stemsOf } from '../engine/stem.ts';
import { BnnError } from '../errors.ts';
import type { Model } from '../graph/model.ts';
import { floatConv, nameOfConvLayer, packedConv, parseConvLayer } from '../inference/bench-conv-models.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { buildModel } from '../zoo/zoo.ts';
import { launchChromium } from './chromium-io.ts';
import { type StaticServer, serveFiles } from './static-server-io.ts';
import { readWebAsset } from './web-site-io.ts';

export interface WebBenchRequest {
  /** Networks of the zoo; the first is also that of the first result. */
  readonly networks: readonly string[];
  /** Layers as `bnn-bench conv` takes them. */
  readonly layers: readonly string[];
  /** Of each runtime; one unless told. */
  readonly threads?: number | undefined;
  /** Turns of each variant. */
  readonly rounds: number;
  /** Fresh browser contexts for the first result of each variant. */
  readonly loads: number;
  /** The browser; that of this machine unless told. */
  readonly browser?: string | undefined;
  readonly onRound?: ((name: string, done: number, total: number) => void) | undefined;
  readonly onCase?: ((result: WebCase | FirstResult) => void) | undefined;
}

export interface WebTiming {
  readonly medianMs: number;
  readonly p10Ms: number;
  readonly p90Ms: number;
  /** Samples: a run each, or the mean of several that are too short for the timer. */
  readonly runs: number;
  /** Fetching, compiling and preparing, nothing in the browser's caches but compiled code. */
  readonly createMs: number;
}

export interface WebBaseline extends WebTiming {
  /** Its median over ours: above 1, we are faster. */
  readonly ratio: number;
  readonly ratioP10: number;
  readonly ratioP90: number;
}

export interface WebCase extends WebTiming {
  readonly kind: 'network' | 'layer';
  readonly name: string;
  /**
   * `onnxruntime-web-fp32`: the float twin; `onnxruntime-web-packed`: the same file; `ours-new-arrays`: ours with a new array for every
   * result, as onnxruntime-web makes them, where ours writes into the same one; `ours-fast-stem`: with `fastStem`, where the network has such a stem.
   */
  readonly baselines: Readonly<Record<string, WebBaseline>>;
}

interface Load {
  /** From an empty page, nothing cached, to the first output. */
  readonly medianMs: number;
  readonly p10Ms: number;
  readonly p90Ms: number;
  readonly runs: number;
  /** Everything that it took, gzipped. */
  readonly downloadedBytes: number;
}

export interface FirstResult extends Load {
  readonly kind: 'first-result';
  readonly name: string;
  /** `ratio`: times ours; `bytesRatio`: bytes of ours. */
  readonly baselines: Readonly<Record<string, Load & { readonly ratio: number; readonly bytesRatio: number }>>;
}

export interface WebBench {
  readonly browser: string;
  readonly onnxruntime: string;
  readonly cases: readonly WebCase[];
  readonly first: FirstResult | null;
}

const SLICE_MS = 20;
const WARM_UP_MS = 200;
const NEW_ARRAYS = 'ours-new-arrays';
const FAST_STEM = 'ours-fast-stem';
const EMPTY_PAGE = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>bnn-bench web</title>';

/** A model in one of the runtimes of `src/web/bench/bench.js`. */
interface Variant {
  readonly key: string;
  readonly runtime: 'ours' | 'onnxruntime';
  /** Whether all results lie in the same arrays. */
  readonly reuses?: boolean;
  readonly fastStem?: boolean;
  readonly model: string;
  readonly input: string;
  readonly shape: readonly number[];
}

interface Case {
  readonly kind: WebCase['kind'];
  readonly name: string;
  readonly variants: readonly Variant[];
}

/**
 * Measures everything.
 *
 * @throws {BnnError} E_NOT_FOUND when the browser, a package or a network is missing, E_USAGE for what is no network or layer to measure,
 *   E_BACKEND when the browser does not start.
 */
export async function benchWeb(request: WebBenchRequest): Promise<WebBench> {
  const files = new Map([['index.html', Buffer.from(EMPTY_PAGE) as Uint8Array]]);
  const cases = [
    ...request.networks.map((name) => networkCase(name, files)),
    ...request.layers.map((text) => layerCase(text, files)),
  ];
  if (cases.length === 0) throw new BnnError('E_USAGE', 'nothing to measure: neither networks nor layers');
  await addRuntimes(files, request.threads ?? 1);
  const browser = await launchChromium(request.browser);
  const server = await serveFiles(files, { isolated: true });
  try {
    const network = cases.find(({ kind }) => kind === 'network');
    const first = network === undefined ? null : await measureFirst(browser, server, network, request);
    const measured: WebCase[] = [];
    for (const one of cases) measured.push(await measureCase(browser, server, one, request));
    return { browser: `Chromium ${browser.version()}`, onnxruntime: onnxruntimeWeb().version, cases: measured, first };
  } finally {
    await browser.close();
    await server.close();
  }
}

/** @throws {BnnError} E_NOT_FOUND for an unknown name, E_USAGE for a network without binary layers. */
function networkCase(name: string, files: Map<string, Uint8Array>): Case {
  if (name.endsWith('-fp')) {
    throw new BnnError('E_USAGE', `${name} has no binary layers, and is what they are compared with`, {
      hint: `name the binary network: ${name.slice(0, -'-fp'.length)}`,
    });
  }
  const float = buildModel(`${name.replace(/-1w32a$/, '')}-fp`, { seed: 1 });
  const packed = lowerToPacked(buildModel(name, { seed: 1 })).model;
  const bytes = { packed: encodeModel(packed), float: encodeModel(float) };
  const [ours, ...others] = variantsOf(name, bytes, inputOf(packed), files);
  if (ours === undefined) throw new Error('internal: a case without variants');
  const fast = stemsOf(packed.graph).size > 0 ? [{ ...ours, key: FAST_STEM, fastStem: true }] : [];
  return { kind: 'network', name, variants: [ours, ...fast, ...others] };
}

function inputOf(model: Model): Pick<Variant, 'input' | 'shape'> {
  const [input] = model.graph.inputs;
  if (input === undefined) throw new Error('internal: a network without input');
  return {
    input: input.name,
    shape: (input.shape ?? []).map((size, axis) => (axis === 0 || typeof size !== 'number' ? 1 : size)),
  };
}

function layerCase(text: string, files: Map<string, Uint8Array>): Case {
  const layer = parseConvLayer(text, 1);
  const [packed, float] = [packedConv(layer), floatConv(layer)];
  const input = { input: 'x', shape: [1, layer.channels, layer.size, layer.size] };
  const bytes = { packed: packed.bytes, float: float.bytes };
  return { kind: 'layer', name: nameOfConvLayer(layer), variants: variantsOf(text, bytes, input, files) };
}

/** Ours first. */
function variantsOf(
  name: string,
  { packed, float }: { readonly packed: Uint8Array; readonly float: Uint8Array },
  input: Pick<Variant, 'input' | 'shape'>,
  files: Map<string, Uint8Array>,
): Variant[] {
  const path = (form: string) => `models/${name}.${form}.onnx`;
  files.set(path('packed'), packed);
  files.set(path('float'), float);
  return [
    { key: 'ours', runtime: 'ours', reuses: true, model: `/${path('packed')}`, ...input },
    { key: NEW_ARRAYS, runtime: 'ours', model: `/${path('packed')}`, ...input },
    { key: 'onnxruntime-web-fp32', runtime: 'onnxruntime', model: `/${path('float')}`, ...input },
    { key: 'onnxruntime-web-packed', runtime: 'onnxruntime', model: `/${path('packed')}`, ...input },
  ];
}

async function addRuntimes(files: Map<string, Uint8Array>, threads: number): Promise<void> {
  const engine = threads > 1 ? 'engine-threads.wasm' : 'engine.wasm';
  for (const name of ['bench.js', 'sampler.js']) files.set(name, await readWebAsset(`bench/${name}`));
  files.set('bnn-web.js', await readWebAsset('index.js'));
  files.set(engine, await readWebAsset(engine));
  const { folder } = onnxruntimeWeb();
  for (const name of await readdir(folder)) {
    if (/^(ort\.wasm\.bundle\.min\.mjs|ort-wasm-simd-threaded\.(mjs|wasm))$/.test(name)) {
      files.set(`ort/${name}`, await readFile(join(folder, name)));
    }
  }
}

/** @throws {BnnError} E_NOT_FOUND when the package is not installed. */
function onnxruntimeWeb(): { readonly folder: string; readonly version: string } {
  const require = createRequire(import.meta.url);
  try {
    const folder = dirname(require.resolve('onnxruntime-web'));
    const { version } = require(join(folder, '../package.json')) as { readonly version: string };
    return { folder, version };
  } catch (cause) {
    throw new BnnError('E_NOT_FOUND', 'the comparison needs the package onnxruntime-web, which is not installed', {
      hint: 'npm install onnxruntime-web',
      cause,
    });
  }
}

/** Calls a function of `bench.js`. */
async function call<T>(page: Page, name: string, argument: object = {}): Promise<T> {
  return page.evaluate<T>(`import('/bench.js').then((bench) => bench.${name}(${JSON.stringify(argument)}))`);
}

async function measureCase(
  browser: Browser,
  { url }: StaticServer,
  { kind, name, variants }: Case,
  { rounds, threads = 1, onRound, onCase }: WebBenchRequest,
): Promise<WebCase> {
  const page = await browser.newPage();
  try {
    await page.goto(url);
    const entries: { key: string; createMs: number; samples: number; times: number[]; roundMs: number[] }[] = [];
    for (const variant of variants) {
      const { createMs, samples } = await call<{ createMs: number; samples: number }>(page, 'open', {
        ...variant,
        threads,
        sliceMs: SLICE_MS,
        warmUpMs: WARM_UP_MS,
      });
      entries.push({ key: variant.key, createMs, samples, times: [], roundMs: [] });
    }
    for (let round = 0; round < rounds; round++) {
      // Whoever runs first changes from round to round.
      for (const entry of rotated(entries, round)) {
        const slice = await call<number[]>(page, 'slice', { key: entry.key, samples: entry.samples });
        entry.times.push(...slice);
        entry.roundMs.push(median(slice));
      }
      onRound?.(name, round + 1, rounds);
    }
    await call(page, 'close');
    const [ours, ...others] = entries.map(({ key, createMs, times, roundMs }) => ({
      key,
      timing: { ...spreadOf(times), createMs },
      roundMs,
    }));
    if (ours === undefined) throw new Error('internal: a case without variants');
    const result: WebCase = {
      kind,
      name,
      ...ours.timing,
      baselines: Object.fromEntries(
        others.map(({ key, timing, roundMs }) => {
          const ratios = roundMs.map((ms, round) => ms / (ours.roundMs[round] ?? Number.NaN));
          const ratio = timing.medianMs / ours.timing.medianMs;
          return [key, { ...timing, ratio, ratioP10: quantile(ratios, 0.1), ratioP90: quantile(ratios, 0.9) }];
        }),
      ),
    };
    onCase?.(result);
    return result;
  } finally {
    await page.close();
  }
}

/** Loads each variant in new browser contexts, which share no cache, in turns. */
async function measureFirst(
  browser: Browser,
  server: StaticServer,
  { name, variants: all }: Case,
  { loads, threads = 1, onRound, onCase }: WebBenchRequest,
): Promise<FirstResult> {
  // A first result is new, and what it takes is no matter of the stem.
  const variants = all.filter(({ key }) => key !== NEW_ARRAYS && key !== FAST_STEM);
  const times = new Map(variants.map(({ key }): [string, number[]] => [key, []]));
  const bytes = new Map<string, number>();
  for (let load = 0; load < loads; load++) {
    for (const variant of rotated(variants, load)) {
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(server.url);
      await page.evaluate("import('/bench.js')");
      server.takeSent();
      times.get(variant.key)?.push(await call<number>(page, 'first', { ...variant, threads }));
      bytes.set(
        variant.key,
        server.takeSent().reduce((sum, sent) => sum + sent.bytes, 0),
      );
      await context.close();
    }
    onRound?.(`first result of ${name}`, load + 1, loads);
  }
  const [ours, ...others] = variants.map(({ key }) => ({
    key,
    load: { ...spreadOf(times.get(key) ?? []), downloadedBytes: bytes.get(key) ?? Number.NaN },
  }));
  if (ours === undefined) throw new Error('internal: a case without variants');
  const result: FirstResult = {
    kind: 'first-result',
    name,
    ...ours.load,
    baselines: Object.fromEntries(
      others.map(({ key, load }) => {
        const bytesRatio = load.downloadedBytes / ours.load.downloadedBytes;
        return [key, { ...load, ratio: load.medianMs / ours.load.medianMs, bytesRatio }];
      }),
    ),
  };
  onCase?.(result);
  return result;
}

function spreadOf(times: readonly number[]): Omit<WebTiming, 'createMs'> {
  return { medianMs: median(times), p10Ms: quantile(times, 0.1), p90Ms: quantile(times, 0.9), runs: times.length };
}

function rotated<T>(items: readonly T[], by: number): T[] {
  return items.map((_, i) => items[(i + by) % items.length] as T);
}
