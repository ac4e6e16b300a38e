import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../src/backends/select-backend.ts';
import { buildModel } from '../src/zoo/zoo.ts';
import { Program } from '../src/training/program.ts';
import { createReste } from '../src/estimators/reste.ts';
import { softmaxCrossEntropy } from '../src/training/loss.ts';
import { Rng } from '../src/core/rng.ts';
const r = createReste(2); const S = { weightEstimator: r, activationEstimator: r };
const logs: any[] = [];
const rng = new Rng(3); const px = Float32Array.from({ length: 128 * 32 * 32 * 3 }, () => rng.normal());
for (const b of ['native', 'tensorflow'] as const) {
  await selectBackend(b); if (b==='native') for (const k of tf.getKernelsForBackend('native')) if (k.kernelName.startsWith('Bnn')) tf.unregisterKernel(k.kernelName,'native');
  if (false) for (const k of tf.getKernelsForBackend('native')) if (k.kernelName.startsWith('Bnn')) tf.unregisterKernel(k.kernelName,'native');
  const p = new Program(buildModel('resnet20', { seed: 1 }), { explicitPadding: false });
  const log: any[] = []; const e = tf.engine() as any; const orig = e.runKernel.bind(e);
  e.runKernel = (n: string, i: any, a: any) => { const y = orig(n, i, a); const t = Array.isArray(y) ? y[0] : y; if (!['Identity','Cast','Reshape'].includes(n) && t.dtype !== 'string') log.push([n, t.shape.join(), (t.dataSync() as Float32Array).slice()]); return y; };
  const x = tf.tensor4d(px.slice(), [128,32,32,3]);
  p.differentiate(x, S, (l) => { const s = softmaxCrossEntropy(l, tf.zeros([128],'int32'), 0); return { loss: s, dlogits: s.dlogits }; });
  e.runKernel = orig; logs.push(log); console.log(b, log.length);
}
const ref=logs[0];
for (const other of [1]) { let shown=0;
for (let i = 0; i < Math.min(ref.length, logs[other].length) && shown<8; i++) { const [n, s, v] = ref[i], [n2, s2, w] = logs[other][i]; let d = 0, q = 0; v.forEach((x: number, j: number) => { d += (x - w[j]) ** 2; q += x * x; }); const er = Math.sqrt(d / (q || 1)); if (n !== n2 || er > 1e-5) { console.log(other, i, n, n2, s, s2, er, v.slice(0,4).join(), w.slice(0,4).join()); shown++; } } }
