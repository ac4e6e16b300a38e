/**
 * Times sums of several sizes between the processes of an MPI job, beside what the model of the cost says.
 *
 *     tools/cluster/two-machines.sh 5000 100 sh -c 'mpirun $ON_BOTH node --import tsx tools/cluster/sums.ts 5000 100'
 */

import { median } from '../../src/core/numbers/quantile.ts';
import { gatherTimes, meet, sumUp } from '../../src/distributed/communicator.ts';
import { sumSeconds } from '../../src/distributed/cost-model.ts';
import { joinProcesses } from '../../src/distributed/mpi-communicator.ts';
import { splitWaiting } from '../../src/distributed/waiting.ts';

const ROUNDS = 15;
const [delayUs = 0, mbit = 0] = process.argv.slice(2).map(Number);
const communicator = joinProcesses();
if (communicator === null) throw new Error('start this with mpirun');

for (const bytes of [4096, 2 ** 14, 2 ** 16, 2 ** 18, 2 ** 20, 2 ** 22]) {
  const values = new Float32Array(bytes / 4);
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    meet(communicator);
    communicator.takeTimes();
    sumUp(communicator, values);
    const all = gatherTimes(communicator, communicator.takeTimes());
    times.push(Math.max(...splitWaiting(all, communicator.hosts).map(({ trafficMs }) => trafficMs)));
  }
  const link = { latencySeconds: delayUs * 1e-6, bytesPerSecond: (mbit * 1e6) / 8 };
  const modelMs = 1000 * sumSeconds(bytes, communicator.size, link);
  const found = { bytes, measuredMs: Number(median(times).toFixed(3)), modelMs: Number(modelMs.toFixed(3)) };
  if (communicator.rank === 0) console.log(JSON.stringify(found));
}
communicator.close();
