/** `bnn-bench web`. */

import { availableParallelism, cpus } from 'node:os';
import { Command } from 'commander';
import { MOST_THREADS as MOST_WEB_THREADS } from '../../engine/engine-threads.ts';
import { threeDigits } from '../../report/format.ts';
import { formatPairs } from '../../report/table.ts';
import { CONV_SHAPES, INFERENCE_ROUNDS } from '../../tasks/bench-inference.ts';
import { VERSION } from '../../tasks/version.ts';
import {
  ADVANCED,
  addExamples,
  addGeneralOptions,
  COMMON,
  type GeneralOptions,
  terminalOf,
  wholeNumber,
} from '../options.ts';
import { threadsHelp } from './bench-options.ts';

interface WebBenchOptions extends GeneralOptions {
  readonly networks: string;
  readonly shapes: string;
  readonly rounds: number;
  readonly loads: number;
  readonly browser?: string;
}

export function createWebBench(): Command {
  const command = new Command('web')
    .description(
      'Measures networks and layers in a browser without a window, on our WebAssembly runtime and on onnxruntime-web, with as many threads: time, the first result from an empty page, bytes downloaded. Needs Chromium and the packages playwright-core and onnxruntime-web.',
    )
    .optionsGroup(COMMON)
    .option('--networks <list>', 'networks of the zoo; none leaves them out', 'resnet20,resnet18')
    .option('--shapes <list>', 'layers as of bnn-bench conv; none leaves them out', CONV_SHAPES)
    .option('--threads <n>', threadsHelp(1), wholeNumber(0, MOST_WEB_THREADS))
    .option('--browser <path>', 'the browser (default: the Chromium of this machine)')
    .optionsGroup(ADVANCED)
    .option('--rounds <n>', 'turns of each variant', wholeNumber(1), INFERENCE_ROUNDS)
    .option('--loads <n>', 'loads of each variant in a new browser context', wholeNumber(1), 7);
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    ['bnn-bench web', 'ResNet-20, ResNet-18 and the 3×3 layers of a ResNet-18'],
    ['bnn-bench web --networks resnet20 --shapes none --threads 2 --json', 'one network on two threads, for a script'],
  ]).action((options: WebBenchOptions) => runWeb(options));
}

async function runWeb(options: WebBenchOptions): Promise<void> {
  const terminal = terminalOf(options);
  const { rounds, loads, browser } = options;
  const threads = options.threads === 0 ? Math.min(availableParallelism(), MOST_WEB_THREADS) : (options.threads ?? 1);
  const [networks, layers] = [options.networks, options.shapes].map((list) =>
    list === 'none' ? [] : list.split(',').map((part) => part.trim()),
  );
  const { benchWeb } = await import('../../tasks/bench-web.ts');
  const { formatFirst, formatWebCase, meanLayerRatios } = await import('./bench-web-report.ts');
  const result = await benchWeb({
    networks: networks ?? [],
    layers: layers ?? [],
    threads,
    rounds,
    loads,
    browser,
    onRound: (name, done, total) => terminal.live(() => `${name}: round ${done} of ${total}`),
    onCase: (one) => {
      terminal.clearLive();
      terminal.event('case', one);
      terminal.result(`${one.kind === 'first-result' ? formatFirst(one) : formatWebCase(one)}\n`);
    },
  });
  const ratios = meanLayerRatios(result.cases);
  const machine = [
    ['processor', `${cpus()[0]?.model.trim() || process.arch}, ${threads} thread${threads === 1 ? '' : 's'}`],
    ['browser', result.browser],
    ['versions', `bnn-toolchain ${VERSION}, onnxruntime-web ${result.onnxruntime}`],
    ...Object.entries(ratios).map(([name, ratio]) => ['layers, geometric mean', `${threeDigits(ratio)} of ${name}`]),
  ] as const;
  terminal.result(formatPairs(machine as readonly (readonly [string, string])[]));
  const { browser: program, onnxruntime, cases } = result;
  terminal.event('result', { cases: cases.length, meanLayerRatios: ratios, threads, browser: program, onnxruntime });
}
