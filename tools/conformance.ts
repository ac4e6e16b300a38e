/**
 * Puts shape inference, constant folding and the trainer's forward pass to the node tests of the ONNX standard:
 *
 *     npx tsx tools/conformance.ts [FOLDER] [--verbose] [--json]
 *
 * FOLDER holds one folder per test, as `backend/test/data/node` of the ONNX project; by default Debian's libonnx-testdata, or what the
 * Python package onnx generates (BNN_PYTHON). Prints per operator how many tests pass of those whose operator is claimed; `--verbose`
 * lists the others with their reasons. Exit code 1 when a test fails that is not among the known exceptions.
 */

import { parseArgs } from 'node:util';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { type Column, formatTable } from '../src/report/table.ts';
import { loadNodeTests } from './conformance/node-tests.ts';
import { type Finding, runChecks, surprises } from './conformance/run-checks.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { verbose: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
});

await tf.setBackend('cpu');
const data = loadNodeTests(positionals[0]);
if (!data.ok) {
  console.error(
    `no node tests: ${data.reason} to a Python with the package onnx (pip install onnx), or give their FOLDER`,
  );
  process.exit(2);
}
const findings = runChecks(data.tests);
const operators = [...new Set(findings.map(({ operator }) => operator))].sort();
const CHECK_NAMES = ['shapes', 'folding', 'training'] as const;

function rate(of: readonly Finding[]): string {
  return of.length === 0 ? '-' : `${of.filter(({ verdict }) => verdict.outcome === 'passed').length}/${of.length}`;
}

if (options.json) {
  for (const finding of findings) console.log(JSON.stringify(finding));
} else {
  const row = (title: string, own: readonly Finding[]) => [
    title,
    ...CHECK_NAMES.map((name) => rate(own.filter(({ check }) => check === name))),
  ];
  const rows = operators.map((operator) =>
    row(
      operator,
      findings.filter((finding) => finding.operator === operator),
    ),
  );
  const columns: Column[] = [{ title: 'operator' }, ...CHECK_NAMES.map((title): Column => ({ title, align: 'right' }))];
  console.log(`${data.tests.length} tests of one operator from ${data.source}`);
  console.log(formatTable(columns, rows, [row('all', findings)]));
}
if (options.verbose) {
  for (const { check, test, verdict, exception } of findings) {
    if (verdict.outcome !== 'passed')
      console.error(`${check} ${test} ${verdict.outcome}: ${verdict.reason}; known: ${exception ?? 'no'}`);
  }
}
const unexpected = surprises(findings);
for (const line of unexpected) console.error(line);
process.exitCode = unexpected.length > 0 ? 1 : 0;
