/** `bnn doctor`. */

import { Command } from 'commander';
import type { Finding } from '../../core/found.ts';
import { formatPairs } from '../../report/table.ts';
import type { MachineVerdict } from '../../tasks/machine-verdict.ts';
import { probeMachine } from '../../tasks/probe-machine.ts';
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
  const report = await probeMachine();
  terminal.event('result', report);
  terminal.result(formatPairs(Object.entries(report.machine)));
  for (const [title, findings] of [
    ['training backends', report.backends],
    ['execution providers', report.providers],
    ['build tools', report.tools],
    ['kernels of packed files', report.kernels],
    ['optional packages', report.packages],
  ] as const) {
    terminal.result(`\n${terminal.paint('bold', title)}\n${formatFindings(findings, terminal)}`);
  }
  terminal.result(`\n${formatVerdict(report.verdict, terminal)}`);
}

const STATES = {
  ready: 'ready: nothing needs to be done; what is missing above is optional',
  slow: 'works, but could be faster',
  incomplete: 'something is missing',
};

function formatVerdict({ state, summary, todo }: MachineVerdict, terminal: Terminal): string {
  return [
    `${terminal.paint('bold', 'verdict')}  ${STATES[state]}`,
    `         ${summary}`,
    ...todo.map((line) => `         do: ${line}`),
  ].join('\n');
}

function formatFindings(findings: readonly Finding[], terminal: Terminal): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  return findings
    .map(({ name, works, detail, hint, isElsewhere = false }) => {
      const mark = works ? 'works  ' : isElsewhere ? '-      ' : terminal.paint('yellow', 'missing');
      const advice = works || isElsewhere || hint === undefined ? '' : `\n${' '.repeat(width + 13)}hint: ${hint}`;
      return `  ${name.padEnd(width)}  ${mark}  ${detail}${advice}`;
    })
    .join('\n');
}
