/** `bnn setup`. */

import { Argument, Command } from 'commander';
import type { Backend } from '../../backends/backend.ts';
import type { SetupOptions as BackendSetupOptions } from '../../backends/backend-facts.ts';
import { BACKENDS } from '../../backends/backends.ts';
import { BnnError } from '../../errors.ts';
import { setupCuda } from '../../tasks/setup-cuda-io.ts';
import { setupMpi } from '../../tasks/setup-mpi-io.ts';
import { setupOnnxruntime } from '../../tasks/setup-onnxruntime-io.ts';
import { addExamples, addGeneralOptions, COMMON, type GeneralOptions, terminalOf } from '../options.ts';
import { refuseUnused } from '../unused-options.ts';

const ROWS: readonly Backend[] = BACKENDS;
interface OtherOptions {
  readonly from?: string | undefined;
  readonly mpicc?: string | undefined;
}
/** Besides the backends. */
const OTHERS = {
  onnxruntime: (onStage: (line: string) => void, _: OtherOptions) => setupOnnxruntime(onStage),
  cuda: (onStage: (line: string) => void, { from }: OtherOptions) => setupCuda(onStage, { from }),
  mpi: (onStage: (line: string) => void, { mpicc }: OtherOptions) => setupMpi(onStage, mpicc),
} as const;
const TARGETS = [...ROWS.flatMap(({ name, setup }) => (setup === undefined ? [] : [name])), ...Object.keys(OTHERS)];

type SetupOptions = GeneralOptions & BackendSetupOptions & OtherOptions;

export function createSetupCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Installs what is optional, beside the project. native: compiles the native kernels here, with the compiler of this machine. onnxruntime: the native onnxruntime (onnxruntime-node), without CUDA. tensorflow: training with an installed TensorFlow (CUDA or CPU). webgpu: training on any GPU with a Vulkan, Metal or Direct3D driver. cuda: the CUDA files of onnxruntime, for --ep cuda. mpi: training on several machines, with the Open MPI or MPICH that is here.',
    )
    .addArgument(new Argument('<what>', 'what to set up').choices(TARGETS))
    .optionsGroup(COMMON)
    .option('--python <path>', 'the Python interpreter that has TensorFlow (default: BNN_PYTHON or python3)')
    .option('--libtensorflow <dir>', 'an unpacked libtensorflow instead, with include/ and lib/')
    .option('--from <file>', 'cuda: the package of nuget.org that was fetched elsewhere, or a folder with its files')
    .option('--mpicc <path>', "the compiler command of an MPI (default: MPICC, or each MPI's on PATH)");
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    [
      'bnn setup tensorflow --python ~/tf/bin/python',
      'build the binding against the TensorFlow of a virtual environment',
    ],
    ['bnn setup native', 'compile the native kernels here, under any package manager'],
    ['bnn setup onnxruntime', 'run models in native onnxruntime'],
    ['bnn setup webgpu', 'install the webgpu backend and try its device'],
    ['bnn setup cuda', 'fetch the CUDA execution provider of onnxruntime'],
    [
      'bnn setup cuda --from microsoft.ml.onnxruntime.gpu.linux.nupkg',
      'the same from a package that was brought by hand',
    ],
    ['bnn setup mpi', 'compile the MPI addon against each MPI here, and try it'],
  ]).action((what: string, options: SetupOptions) => runSetup(what, options));
}

async function runSetup(what: string, options: SetupOptions): Promise<void> {
  const terminal = terminalOf(options);
  const onStage = (line: string) => terminal.note(line);
  const { python, libtensorflow, mpicc } = options;
  if (mpicc !== undefined && what !== 'mpi') {
    throw new BnnError('E_USAGE', `--mpicc is for bnn setup mpi, not for ${what}`);
  }
  const setup = ROWS.find(({ name }) => name === what)?.setup;
  for (const [option, value] of Object.entries({ python, libtensorflow })) {
    if (value === undefined || setup?.options.some((known) => known === option)) continue;
    throw new BnnError('E_USAGE', `--${option} is for bnn setup tensorflow, not for ${what}`);
  }
  refuseUnused(`setting up ${what}`, { '--from': options.from !== undefined && what !== 'cuda' });
  refuseUnused('--libtensorflow', { '--python': python !== undefined && libtensorflow !== undefined });
  if (setup === undefined) {
    const detail = await OTHERS[what as keyof typeof OTHERS](onStage, { from: options.from, mpicc });
    terminal.event('result', { what, detail });
    terminal.result(detail);
    return;
  }
  const { facts, text } = await setup.run({ python, libtensorflow }, onStage);
  terminal.event('result', { what, ...facts });
  terminal.result(`${text}\nuse it with --backend ${what}`);
}
