import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { loadWebgpu } from '../src/backends/webgpu/load.ts';
import { Rng } from '../src/core/rng.ts';
console.log(await loadWebgpu().then(r=>r.ok?r.device:r));
const rnd=(shape:number[],seed=1)=>{const r=new Rng(seed);const n=shape.reduce((a,b)=>a*b,1);return {shape,v:Float32Array.from({length:n},()=>r.normal())}};
async function both(name:string,f:(t:(shape:number[],seed?:number)=>tf.Tensor)=>tf.Tensor){
  const out:any[]=[];
  for(const b of ['cpu','webgpu']){ await tf.setBackend(b);
    try{ const y=f((s,seed)=>{const {v}=rnd(s,seed);return tf.tensor(v,s)}); out.push([y.shape,Array.from(await y.data())]);}catch(e){out.push(String(e).slice(0,150))} }
  if(typeof out[1]==='string'||typeof out[0]==='string'){console.log(name,out.map(o=>typeof o==='string'?o:'ok'));return}
  let d=0,n=0; out[0][1].forEach((x:number,i:number)=>{d+=(x-out[1][1][i])**2;n+=x*x}); console.log(name,Math.sqrt(d/n), out[0][0].join(),out[1][0].join());
}
const rk=(n:string,i:any,a:any)=>tf.engine().runKernel(n,i,a) as tf.Tensor;
const sgn=(t:tf.Tensor)=>tf.sub(tf.mul(tf.cast(tf.greaterEqual(t,0),'float32'),2),1);
await both('sign',t=>sgn(t([4,5])));
for (const s of [1,2]) for(const pad of ['same','valid'] as any[]) for (const [h,ci,co,k] of [[8,3,16,3],[9,16,32,3],[8,16,32,1],[32,16,16,3]] as any[]){
 const a={strides:[s,s],pad,dataFormat:'NHWC',dilations:[1,1]};
 const o=pad==='same'?Math.ceil(h/s):Math.ceil((h-k+1)/s);
 await both(`conv s${s} ${pad} ${h} ${ci}-${co} k${k}`,t=>rk('Conv2D',{x:t([4,h,h,ci]),filter:t([k,k,ci,co],2)},a));
 await both(` signconv`,t=>rk('Conv2D',{x:sgn(t([4,h,h,ci])),filter:sgn(t([k,k,ci,co],2))},a));
 await both(' dx',t=>rk('Conv2DBackpropInput',{dy:t([4,o,o,co]),filter:t([k,k,ci,co],2)},{...a,inputShape:[4,h,h,ci]}));
 await both(' dw',t=>rk('Conv2DBackpropFilter',{x:t([4,h,h,ci]),dy:t([4,o,o,co],3)},{...a,filterShape:[k,k,ci,co]}));
}
await both('moments',t=>tf.moments(t([4,8,8,16]),[0,1,2]).variance);
await both('mean',t=>tf.mean(tf.abs(t([3,3,16,16]))));
await both('avgpool',t=>rk('AvgPool',{x:t([4,8,8,16])},{filterSize:[1,1],strides:[2,2],pad:'valid'}));
await both('avgpool8',t=>rk('AvgPool',{x:t([4,8,8,16])},{filterSize:[8,8],strides:[8,8],pad:'valid'}));
await both('avgpoolgrad',t=>rk('AvgPoolGrad',{dy:t([4,4,4,16]),input:t([4,8,8,16])},{filterSize:[1,1],strides:[2,2],pad:'valid'}));
await both('pad',t=>tf.pad(t([4,8,8,16]),[[0,0],[0,0],[0,0],[2,2]],0));
await both('transpose',t=>tf.transpose(t([5,4,3,2]),[2,3,1,0]));
await both('transpose2',t=>tf.transpose(t([5,4,3,2]),[0,3,1,2]));
await both('matmul',t=>tf.matMul(t([5,4]) as any,t([6,4]) as any,false,true));
await both('lsm',t=>tf.logSoftmax(t([5,4]) as any));
await both('step',t=>tf.step(tf.relu(t([5,4]))));
await both('steprelu0',t=>tf.step(tf.relu(tf.sub(t([5,4]),t([5,4])))));
await both('reste',t=>{const x=t([50,4]),a=tf.abs(x);return tf.where(tf.lessEqual(a,Math.fround(0.1)),tf.fill(a.shape,3.3),tf.pow(tf.maximum(a,0.1),tf.scalar(-.66)))});
