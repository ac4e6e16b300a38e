import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ChannelOrder,
  encodePreprocessing,
  type Fit,
  PREPROCESSING_KEY,
  type Preprocessing,
  pictureFrame,
} from '../src/core/pictures/preprocessing.ts';
import { float32 } from '../src/core/tensors/tensor.ts';
import { loadOrtAddon } from '../src/inference/native-addon.ts';
import { writeModel } from '../src/onnx/model-io.ts';
import { launchChromium } from '../src/tasks/chromium-io.ts';
import { writeDescription } from '../src/tasks/description-file.ts';
import { exportModel } from '../src/tasks/export-model.ts';
import { predictPictures } from '../src/tasks/predict-pictures.ts';
import { serveFiles } from '../src/tasks/static-server-io.ts';
import { buildModel } from '../src/zoo/zoo.ts';
import { missingHeaders, onnxruntimeHeaders } from './native/onnxruntime-headers.ts';
import { missingBrowser, somePixels, webFile } from './web/browser.ts';

/** The samples of docs/deploy, run as a user would run them: each must say of JPEG pictures what `bnn predict` says. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SAMPLES = join(ROOT, 'docs/deploy');
const PYTHON = process.env['BNN_PYTHON'] ?? 'python3';
const hasPython = spawnSync(PYTHON, ['-c', 'import onnxruntime, numpy, PIL']).status === 0;
const OPS_LIBRARY = join(ROOT, 'build/libbnn_ops.so');
const CLASSES = ['apple', 'a "quoted" name, with a comma', 'cherry', 'Dattelpalme ü'];

interface Network {
  readonly fit?: Fit;
  readonly channelOrder?: ChannelOrder;
  /** How many numbers it gives, and the function behind them. */
  readonly outputs?: number;
  readonly end?: string;
}
const NETWORKS: Readonly<Record<string, Network>> = {
  crop: {},
  squash: { fit: 'squash' },
  pad: { fit: 'pad' },
  grey: { channelOrder: 'grey' },
  Softmax: { end: 'Softmax' },
  'one logit': { outputs: 1 },
  Sigmoid: { outputs: 1, end: 'Sigmoid' },
  Tanh: { outputs: 1, end: 'Tanh' },
};
const MODELS = Object.keys(NETWORKS);
type Answer = readonly (readonly [name: string, percent: number])[];

const folder = mkdtempSync(join(tmpdir(), 'bnn-deploy-'));
const modelOf = (name: string) => join(folder, `${name}.onnx`);
const pictures: string[] = [];
const expected = new Map<string, Map<string, Answer>>();

async function writeNetwork(name: string): Promise<void> {
  const { fit = 'crop', channelOrder = 'RGB', outputs = 4, end } = NETWORKS[name]!;
  const channels = channelOrder === 'grey' ? 1 : 3;
  const model = buildModel('binarynet-mini', { classes: outputs, channels, imageSize: 16, seed: 8 });
  const scores = model.graph.outputs[0]!;
  // Of an untrained network numbers are large: a tenth of them is not certain of its class.
  if (outputs === 1 || end !== undefined) {
    const tenth = model.graph.addConstant('tenth', float32([], Float32Array.of(0.1)));
    model.graph.replaceAllUses(scores, model.graph.addNode('Mul', [scores, tenth]).output);
  }
  if (end !== undefined)
    model.graph.replaceAllUses(model.graph.outputs[0]!, model.graph.addNode(end, [model.graph.outputs[0]!]).output);
  const statistics = { mean: [0.4, 0.5, 0.6].slice(0, channels), std: [0.2, 0.25, 0.3].slice(0, channels) };
  const picture = { ...pictureFrame(16, 16, fit), filter: 'triangle', channelOrder, layout: 'NCHW' } as const;
  const entry: Preprocessing = {
    dataset: 'test',
    picture,
    ...statistics,
    classes: CLASSES.slice(0, Math.max(2, outputs)),
  };
  model.metadata.set(PREPROCESSING_KEY, encodePreprocessing(entry));
  const latent = join(folder, 'latent.onnx');
  await writeModel(latent, model);
  const { bytes, preprocessing } = await exportModel(latent);
  writeFileSync(modelOf(name), bytes);
  await writeDescription(modelOf(name), preprocessing);
}

beforeAll(async () => {
  for (const name of MODELS) await writeNetwork(name);
  // Tall and wide, larger and smaller than what the network sees.
  for (const [i, [width, height, orientation = 1]] of [
    [50, 30],
    [31, 77],
    [9, 11],
    [200, 150],
    [16, 16],
    [5, 40],
    // As phones store them: mirrored and turned.
    ...Array.from({ length: 7 }, (_, i) => [60, 40, i + 2]),
  ].entries()) {
    const file = join(folder, `${i}.jpg`);
    const { data } = somePixels(width!, height!, i);
    await sharp(data, { raw: { width: width!, height: height!, channels: 4 } })
      .removeAlpha()
      .withMetadata({ orientation })
      .jpeg()
      .toFile(file);
    pictures.push(file);
  }
  for (const name of MODELS) {
    const answers = new Map<string, Answer>();
    await predictPictures({
      model: modelOf(name),
      pictures,
      onPicture: ({ picture, guesses }) =>
        answers.set(
          picture,
          guesses.map((guess) => [guess.name, 100 * guess.probability] as const),
        ),
    });
    expected.set(name, answers);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

/** Printed percentages are rounded to tenths. */
function expectAnswer(found: Answer, wanted: Answer | undefined): void {
  expect(found.map(([name]) => name)).toEqual(wanted?.map(([name]) => name));
  for (const [i, [, percent]] of found.entries()) expect(Math.abs(percent - wanted![i]![1])).toBeLessThan(0.06);
}

function expectAnswers(name: string, output: string): void {
  const found = new Map<string, (readonly [string, number])[]>();
  for (const line of output.trimEnd().split('\n')) {
    const [, percent, label] = /^ *([\d.]+) % {2}(.*)$/.exec(line) ?? [];
    if (percent === undefined) found.set(line, []);
    else [...found.values()].at(-1)!.push([label!, Number(percent)]);
  }
  expect([...found.keys()]).toEqual(pictures);
  for (const [picture, answer] of found) expectAnswer(answer, expected.get(name)!.get(picture));
}

it('the pictures are told apart, and the ways of framing differ', () => {
  // The network is not trained: one class is the best of every picture, by different shares.
  const answers = [...expected.get('crop')!.values()].map((answer) => JSON.stringify(answer));
  expect(new Set(answers).size).toBe(pictures.length);
  expect(new Set([...expected.values()].map((answers) => JSON.stringify([...answers.values()]))).size).toBe(
    MODELS.length,
  );
});

describe.each(MODELS)('%s', (name) => {
  it('Node', () => {
    const args = [join(SAMPLES, 'node.mjs'), modelOf(name), ...pictures];
    expectAnswers(name, execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' }));
  });

  it.skipIf(!hasPython)(
    `Python${hasPython ? '' : ' (skipped: no onnxruntime, numpy and Pillow; BNN_PYTHON chooses the interpreter)'}`,
    () => {
      const args = [join(SAMPLES, 'python.py'), modelOf(name), ...pictures];
      expectAnswers(name, execFileSync(PYTHON, args, { encoding: 'utf8' }));
      if (!existsSync(OPS_LIBRARY)) return;
      const env = { ...process.env, BNN_OPS: OPS_LIBRARY };
      expectAnswers(name, execFileSync(PYTHON, args, { encoding: 'utf8', env }));
    },
  );
});

describe.skipIf(missingBrowser !== undefined)(
  `Chromium${missingBrowser === undefined ? '' : ` (skipped: ${missingBrowser})`}`,
  () => {
    const ORT = join(ROOT, 'node_modules/onnxruntime-web/dist');
    const sample = (name: string) => readFileSync(join(SAMPLES, name));
    const runtimes = {
      'browser.html': () => [
        ['bnn-web/index.js', webFile('index.js')],
        ['bnn-web/engine.wasm', webFile('engine.wasm')],
      ],
      'browser-onnxruntime.html': () => [
        ['prepare.mjs', sample('prepare.mjs')],
        ...['ort.wasm.bundle.min.mjs', 'ort-wasm-simd-threaded.wasm'].map((file) => [
          file,
          readFileSync(join(ORT, file)),
        ]),
      ],
    } satisfies Record<string, () => unknown[][]>;

    const pages = Object.keys(runtimes) as (keyof typeof runtimes)[];
    it.each(pages.flatMap((file) => ['crop', 'Sigmoid'].map((name) => [file, name] as const)))(
      '%s, %s',
      async (file, name) => {
        const server = await serveFiles(
          new Map([
            ['index.html', sample(file)],
            ...(runtimes[file]() as [string, Uint8Array][]),
            ['model.onnx', readFileSync(modelOf(name))],
            ['model.json', readFileSync(join(folder, `${name}.json`))],
          ]),
        );
        const browser = await launchChromium();
        try {
          const page = await browser.newPage();
          await page.goto(server.url, { waitUntil: 'networkidle' });
          for (const picture of pictures) {
            await page.evaluate("document.getElementById('result').replaceChildren()");
            await page.setInputFiles('#file', picture);
            await page.waitForSelector('#result li');
            const lines = await page.locator('#result li').allTextContents();
            const answer = lines.map((line) => {
              const [, label, percent] = /^(.*): ([\d.]+) %$/.exec(line) ?? [];
              return [label!, Number(percent)] as const;
            });
            expectAnswer(answer, expected.get(name)!.get(picture));
          }
        } finally {
          await browser.close();
          await server.close();
        }
      },
      60_000,
    );
  },
);

const addon = loadOrtAddon();
const hasJpeg = () =>
  spawnSync('c++', ['-E', '-x', 'c++', '-'], { input: '#include <cstdio>\n#include <jpeglib.h>\n' }).status === 0;
const missingCpp = addon.ok
  ? (missingHeaders ?? (hasJpeg() ? undefined : 'jpeglib.h is not installed: apt-get install libjpeg-dev'))
  : addon.reason;

describe.skipIf(missingCpp !== undefined)(`C++${missingCpp ? ` (skipped: ${missingCpp})` : ''}`, () => {
  const classify = (args: string[], env = process.env) =>
    spawnSync(join(folder, 'classify'), args, { encoding: 'utf8', env });

  beforeAll(() => {
    // The library that onnxruntime-node has; the headers may be older.
    const library = addon.ok ? addon.value.runtime : '';
    const flags = ['-std=c++17', '-Wall', '-Wextra', '-Werror', '-isystem', String(onnxruntimeHeaders)];
    const files = [join(SAMPLES, 'main.cc'), library, '-ljpeg', `-Wl,-rpath,${dirname(library)}`];
    execFileSync('c++', [...flags, ...files, '-o', join(folder, 'classify')]);
  }, 120_000);

  it.each(MODELS)('%s', (name) => {
    const { status, stdout } = classify([modelOf(name), ...pictures]);
    expect(status).toBe(0);
    expectAnswers(name, stdout);
  });

  it.skipIf(!existsSync(OPS_LIBRARY))('says the same with the operator library', () => {
    const { status, stdout } = classify([modelOf('pad'), ...pictures], { ...process.env, BNN_OPS: OPS_LIBRARY });
    expect(status).toBe(0);
    expectAnswers('pad', stdout);
  });

  it('says what is wrong with a file', () => {
    const absent = classify([join(folder, 'absent.onnx'), ...pictures]);
    expect([absent.status, absent.stderr]).toEqual([1, expect.stringMatching(/absent\.onnx.*\n$/)]);
    const broken = classify([modelOf('pad'), join(folder, 'pad.json')]);
    expect([broken.status, broken.stderr]).toEqual([1, expect.stringMatching(/^classify: Not a JPEG file/)]);
  });
});
