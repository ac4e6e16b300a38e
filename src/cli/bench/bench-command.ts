/** `bnn-bench`: a command for each subject. */

import { Command } from 'commander';
import { nearest } from '../../core/nearest.ts';
import { BnnError } from '../../errors.ts';
import { addExamples, addProgramOptions } from '../options.ts';
import { createDataBench } from './bench-data-command.ts';
import { createConvBench, createModelBench } from './bench-inference-command.ts';
import { createTrainBench } from './bench-train-command.ts';
import { createWebBench } from './bench-web-command.ts';

export function createBenchCommand(name: string): Command {
  const command = new Command(name)
    .description(
      'Measures our kernels against stock onnxruntime on the same file, on the full-precision twin and in 8-bit integers, and training against PyTorch where the variable BNN_PYTHON names a Python that has it, decoding pictures against a plain loop over sharp, and our runtime for browsers against onnxruntime-web. One run takes turns between them: time, memory, ratio.',
    )
    .usage('<command> [options]')
    .argument('[what]')
    .helpCommand(false);
  for (const create of [createConvBench, createModelBench, createTrainBench, createDataBench, createWebBench])
    command.addCommand(create());
  addProgramOptions(command);
  return addExamples(command, [
    ['bnn-bench conv', '3×3 layers of a ResNet-18'],
    ['bnn-bench model net.onnx --batch 8 --json', 'a whole network, for a script'],
    ['bnn-bench train --model resnet20 --profile', 'training steps, and where their time goes'],
    ['bnn-bench data --data ~/imagenet', 'reading, decoding and cropping pictures'],
    ['bnn-bench web', 'networks and layers in a browser'],
  ]).action((what: string | undefined) => {
    const subjects = command.commands.map((sub) => sub.name());
    const near = what === undefined ? undefined : nearest(what, subjects);
    throw new BnnError('E_USAGE', what === undefined ? 'nothing to measure is given' : `unknown subject '${what}'`, {
      hint: near === undefined ? `one of ${subjects.join(', ')}` : `did you mean ${near}?`,
    });
  });
}
