/** Tries every execution provider and says what works here, for `bnn doctor`. */

import { BnnError } from '../errors.ts';
import { Builder } from '../graph/builder.ts';
import { encodeModel } from '../onnx/encode-model.ts';
import { EXECUTION_PROVIDERS, inspectProvider, type ProviderReport } from './provider.ts';
import { createSession } from './session.ts';

/** Runs a model of one node on each provider whose files are there. */
export async function probeProviders(): Promise<ProviderReport[]> {
  const reports: ProviderReport[] = [];
  for (const name of EXECUTION_PROVIDERS) {
    const report = inspectProvider(name);
    reports.push(report.works ? await tryProvider(report) : report);
  }
  return reports;
}

async function tryProvider(report: ProviderReport): Promise<ProviderReport> {
  try {
    const session = await createSession(smallestModel(), { ep: report.name, threads: 1 });
    try {
      const { data } = await session.run(Float32Array.of(-2), [1]);
      if (data[0] !== 2) return { ...report, works: false, detail: `|-2| came out as ${data[0]}` };
    } finally {
      await session.dispose();
    }
    return report;
  } catch (error) {
    const { message, hint } = error instanceof BnnError ? error : { message: String(error), hint: undefined };
    return { ...report, works: false, detail: message, ...(hint === undefined ? {} : { hint }) };
  }
}

function smallestModel(): Uint8Array {
  const builder = new Builder('probe');
  const x = builder.input('x', 'float32', [1]);
  builder.output(builder.op('Abs', [x]), 'float32', [1]);
  return encodeModel(builder.model);
}
