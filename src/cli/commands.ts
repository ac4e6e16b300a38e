/** The commands; their code is loaded when one is called. */

import type { Command } from 'commander';
import type { Parts } from '../training/recipes/parts.ts';

export interface CommandEntry {
  /** One line for the list. */
  readonly summary: string;
  /** Whether it also exists as `bnn-<name>`. */
  readonly hasOwnProgram: boolean;
  /** Whether its work are files, so that it goes on when nobody reads its output any more. */
  readonly writesFiles: boolean;
  /** Whether it takes `--plugin`. */
  readonly takesPlugins?: true;
  readonly load: () => Promise<(name: string, parts?: Parts) => Command>;
}

export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  train: {
    summary: 'train a binary network',
    hasOwnProgram: true,
    writesFiles: true,
    takesPlugins: true,
    load: async () => (await import('./train/train-command.ts')).createTrainCommand,
  },
  compare: {
    summary: 'train several estimators over the same seeds and compare them',
    hasOwnProgram: false,
    writesFiles: true,
    takesPlugins: true,
    load: async () => (await import('./compare/compare-command.ts')).createCompareCommand,
  },
  report: {
    summary: 'write a page about what runs have learned',
    hasOwnProgram: false,
    writesFiles: true,
    takesPlugins: true,
    load: async () => (await import('./report/report-command.ts')).createReportCommand,
  },
  export: {
    summary: 'write a trained network as an ONNX file with one bit per binary weight',
    hasOwnProgram: true,
    writesFiles: true,
    takesPlugins: true,
    load: async () => (await import('./export/export-command.ts')).createExportCommand,
  },
  convert: {
    summary: 'read a network from elsewhere, with a verdict for every layer',
    hasOwnProgram: true,
    writesFiles: true,
    load: async () => (await import('./convert/convert-command.ts')).createConvertCommand,
  },
  validate: {
    summary: 'measure accuracy, agreement and speed of an ONNX file in onnxruntime',
    hasOwnProgram: true,
    writesFiles: false,
    takesPlugins: true,
    load: async () => (await import('./validate/validate-command.ts')).createValidateCommand,
  },
  predict: {
    summary: 'say what is on pictures, with probabilities',
    hasOwnProgram: true,
    writesFiles: false,
    load: async () => (await import('./predict/predict-command.ts')).createPredictCommand,
  },
  bench: {
    summary: 'measure the kernels for binary layers against stock onnxruntime',
    hasOwnProgram: true,
    writesFiles: false,
    load: async () => (await import('./bench/bench-command.ts')).createBenchCommand,
  },
  inspect: {
    summary: 'show layers, sizes and costs of a model',
    hasOwnProgram: true,
    writesFiles: false,
    load: async () => (await import('./inspect/inspect-command.ts')).createInspectCommand,
  },
  web: {
    summary: 'write a web page that classifies pictures with a model',
    hasOwnProgram: false,
    writesFiles: true,
    load: async () => (await import('./web/web-command.ts')).createWebCommand,
  },
  models: {
    summary: 'list networks, recipes and trained models',
    hasOwnProgram: false,
    writesFiles: false,
    takesPlugins: true,
    load: async () => (await import('./models/models-command.ts')).createModelsCommand,
  },
  completion: {
    summary: 'print a script that completes commands in bash, zsh or fish',
    hasOwnProgram: false,
    writesFiles: false,
    load: async () => {
      const { createCompletionCommand } = await import('./completion/completion-command.ts');
      return (name) => createCompletionCommand(name, COMMANDS);
    },
  },
  setup: {
    summary: 'install what is optional: native, onnxruntime, tensorflow, webgpu, cuda',
    hasOwnProgram: false,
    writesFiles: true,
    load: async () => (await import('./setup/setup-command.ts')).createSetupCommand,
  },
  doctor: {
    summary: 'show what works on this machine, and what to do about the rest',
    hasOwnProgram: false,
    writesFiles: false,
    load: async () => (await import('./doctor/doctor-command.ts')).createDoctorCommand,
  },
};
