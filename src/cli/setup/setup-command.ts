/** `bnn setup`. */

import { Argument, Command } from 'commander';
import { type SelectedBackend, selectBackend } from '../../backends/select-backend.ts';
import { setupTensorflow } from '../../backends/tensorflow/setup-io.ts';
import { setupWebgpu } from '../../backends/webgpu/setup-io.ts';
import { BnnError } from '../../errors.ts';
import { setupCuda } from '../../tasks/setup-cuda-io.ts';
import { addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from '../options.ts';
import { refuseUnused } from '../unused-options.ts';

const TARGETS = ['tensorflow', 'webgpu', 'cuda'] as const;

interface SetupOptions extends GeneralOptions {
  readonly python?: string;
  readonly libtensorflow?: string;
}

export function createSetupCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Installs what GPUs need, beside the project. tensorflow: training with an installed TensorFlow (CUDA or CPU). webgpu: training on any GPU with a Vulkan, Metal or Direct3D driver. cuda: the CUDA files of onnxruntime, for --ep cuda.',
    )
    .addArgument(new Argument('<what>', 'what to set up').choices(TARGETS))
    .optionsGroup(COMMON)
    .option('--python <path>', 'the Python interpreter that has TensorFlow (default: BNN_PYTHON or python3)')
    .option('--libtensorflow <dir>', 'an unpacked libtensorflow instead, with include/ and lib/');
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    [
      'bnn setup tensorflow --python ~/tf/bin/python',
      'build the binding against the TensorFlow of a virtual environment',
    ],
    ['bnn setup webgpu', 'install the webgpu backend and try its device'],
    ['bnn setup cuda', 'fetch the CUDA execution provider of onnxruntime'],
  ]).action((what: (typeof TARGETS)[number], options: SetupOptions) => runSetup(what, options));
}

async function runSetup(what: (typeof TARGETS)[number], options: SetupOptions): Promise<void> {
  const terminal = terminalOf(options);
  const onStage = (line: string) => terminal.note(line);
  if (what !== 'tensorflow' && (options.python ?? options.libtensorflow) !== undefined) {
    throw new BnnError('E_USAGE', `--python and --libtensorflow are for bnn setup tensorflow, not for ${what}`);
  }
  refuseUnused('--libtensorflow', { '--python': options.python !== undefined && options.libtensorflow !== undefined });
  switch (what) {
    case 'tensorflow': {
      const { python, libtensorflow } = options;
      const done = await setupTensorflow({ python, libtensorflow }, onStage);
      const { version, hasGpu, losses, folder } = done;
      terminal.event('result', { what, ...done });
      terminal.result(
        `TensorFlow ${version} trains on ${hasGpu ? 'the GPU' : 'the CPU'}: loss ${losses[0].toFixed(3)} to ${losses[1].toFixed(3)}; binding in ${folder}\nuse it with --backend tensorflow`,
      );
      return;
    }
    case 'webgpu': {
      const folder = await setupWebgpu(onStage);
      const { description }: SelectedBackend = await selectBackend('webgpu');
      terminal.event('result', { what, folder, description });
      terminal.result(`${description}; packages in ${folder}\nuse it with --backend webgpu`);
      return;
    }
    case 'cuda': {
      const detail = await setupCuda(onStage);
      terminal.event('result', { what, detail });
      terminal.result(detail);
      return;
    }
    default:
      what satisfies never;
  }
}
