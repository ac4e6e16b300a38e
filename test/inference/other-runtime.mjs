/**
 * Runs models in a given onnxruntime, with and without the operator library; a test program, driven by other-runtime.test.ts. It is a
 * process of its own because a process must not hold two onnxruntimes. Plain JavaScript, to start fast.
 *
 *     node other-runtime.mjs ADDON LIBRARY RUNTIME JOBS.json
 *
 * JOBS.json: a list of {"model": path, "input": name, "output": name, "shape": [...]}. Prints one line of JSON: the version, and for each
 * job {same, difference, ops, stock}, or {code, message} of the error. `difference` is relative to the largest output; `ops` and `stock` are the operators
 * that the two profiles name.
 */

import { readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';

const FLOAT32 = 1;
const [addonPath, library, runtime, jobsPath] = process.argv.slice(2);
const addon = createRequire(import.meta.url)(addonPath);
const { version } = addon.open(runtime);

const create = (model, options) => addon.create({ runtime, model, ...options });

/** Runs a model `runs` times at once. */
async function outputs({ input, output, shape }, sessions, runs) {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(0.7 * i) * (i % 17));
  const feeds = [{ type: FLOAT32, shape, data }];
  const all = sessions.flatMap((session) =>
    Array.from({ length: runs }, () => addon.run(session, [input], feeds, [output])),
  );
  return (await Promise.all(all)).map(([result]) => result);
}

function operators(session) {
  const path = addon.endProfiling(session);
  const events = JSON.parse(readFileSync(path, 'utf8'));
  rmSync(path);
  return [...new Set(events.flatMap(({ args }) => args?.op_name ?? []))];
}

function difference(actual, expected) {
  const [a, b] = [new Float32Array(actual.data), new Float32Array(expected.data)];
  const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0) / largest;
}

async function compare(job) {
  const profilePrefix = `${jobsPath}-profile`;
  const ops = [
    await create(job.model, { intraOpThreads: 1, opsLibrary: library, profilePrefix: `${profilePrefix}-ops` }),
    await create(job.model, { intraOpThreads: 2, opsLibrary: library }),
  ];
  const results = await outputs(job, ops, 3);
  const stock = await create(job.model, { intraOpThreads: 1, profilePrefix });
  const [expected] = await outputs(job, [stock], 1);
  const report = {
    same: results.every(({ data }) => Buffer.compare(Buffer.from(data), Buffer.from(expected.data)) === 0),
    difference: Math.max(...results.map((result) => difference(result, expected))),
    ops: operators(ops[0]),
    stock: operators(stock),
  };
  for (const session of [stock, ...ops]) await addon.dispose(session);
  return report;
}

const reports = [];
for (const job of JSON.parse(readFileSync(jobsPath, 'utf8'))) {
  reports.push(await compare(job).catch((error) => ({ code: error.code, message: error.message })));
}
console.log(JSON.stringify({ version, reports }));
