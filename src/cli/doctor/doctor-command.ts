/** `bnn doctor`. */

import { Command } from 'commander';
import { probeBackends } from '../../backends/probe.ts';
import { probeOps } from '../../inference/probe-ops.ts';
import { probeProviders } from '../../inference/probe-providers.ts';
import { onnxruntimeVersion } from '../../inference/provider.ts';
import { formatPairs } from '../../report/table.ts';
import { describeMachine, type Finding, findCompiler, findOptionalPeers } from '../../tasks/machine.ts';
import { TFJS_VERSION, VERSION } from '../../tasks/version.ts';
import { addExamples, addGeneralOptions, type GeneralOptions, terminalOf } from '../options.ts';
import type { Terminal } from '../terminal.ts';

export function createDoctorCommand(name: string): Command {
  const command = new Command(name).description(
    'Shows which training backends, execution providers and native kernels work on this machine, and for each that does not, why and what to do.',
  );
  addGeneralOptions(command, { threads: false });
  return addExamples(command, [
    ['bnn doctor', 'everything at a glance'],
    ['bnn doctor --json', 'for a bug report or a script'],
    ['NO_COLOR=1 bnn doctor > doctor.txt', 'to send to somebody'],
  ]).action((options: GeneralOptions) => runDoctor(options));
}

async function runDoctor(options: GeneralOptions): Promise<void> {
  const terminal = terminalOf(options);
  const machine = [
    ['bnn-toolchain', VERSION],
    ...describeMachine(),
    ['onnxruntime', onnxruntimeVersion()],
    ['tfjs', TFJS_VERSION],
  ] as const;
  const sections: readonly (readonly [title: string, findings: readonly Finding[]])[] = [
    ['training backends', await probeBackends()],
    ['execution providers', await probeProviders()],
    ['build tools', [await findCompiler()]],
    ['kernels in onnxruntime', [await probeOps()]],
    ['optional packages', findOptionalPeers()],
  ];
  const [backends, providers, tools, kernels, packages] = sections.map(([, findings]) => findings);
  terminal.event('result', { machine: Object.fromEntries(machine), backends, providers, tools, kernels, packages });
  terminal.result(formatPairs(machine));
  for (const [title, findings] of sections) {
    terminal.result(`\n${terminal.paint('bold', title)}\n${formatFindings(findings, terminal)}`);
  }
}

function formatFindings(findings: readonly Finding[], terminal: Terminal): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  return findings
    .map(({ name, works, detail, hint }) => {
      const mark = works ? 'works  ' : terminal.paint('yellow', 'missing');
      const advice = works || hint === undefined ? '' : `\n${' '.repeat(width + 13)}hint: ${hint}`;
      return `  ${name.padEnd(width)}  ${mark}  ${detail}${advice}`;
    })
    .join('\n');
}
