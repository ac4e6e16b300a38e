import { train } from '../src/training/trainer.ts';
import { parseRecipe } from '../src/training/recipe.ts';
import * as tf from '@tensorflow/tfjs-core';
import { registerNativeBackend } from '../src/backends/native/register.ts';
import { rmSync } from 'node:fs';
rmSync('/tmp/run-native',{recursive:true,force:true});
const [model='resnet20', limit='2560', batch='128', prof] = process.argv.slice(2);
const r0 = registerNativeBackend();
const times = new Map<string,[number,number]>();
if (prof) for (const k of tf.getKernelsForBackend('native')) { const f=k.kernelFunc; (k as any).kernelFunc=(a:any)=>{const t=performance.now(); const r=f(a); const e=times.get(k.kernelName)??[0,0]; e[0]+=performance.now()-t; e[1]++; times.set(k.kernelName,e); return r;}; }
const recipe = parseRecipe([{model, dataset:'cifar10', data:'/work/shared/data/cifar-10-batches-bin', limitTrain:+limit, limitTest:500, epochs:2, batchSize:+batch, optimizer:'sgd', lr:0.1, padCrop:4, flip:true, threads:2, backend:'native'}]);
const t=performance.now();
const r = await train(recipe,{out:'/tmp/run-native', onEpoch:(e:any)=>console.log(JSON.stringify(e))} as any);
console.log('total s', (performance.now()-t)/1000);
let sum=0; for (const [k,[ms,n]] of [...times].sort((a,b)=>b[1][0]-a[1][0]).slice(0,25)) {sum+=ms; console.log(k.padEnd(28), ms.toFixed(1),'ms', n);} console.log('kernels', sum);
