import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { Rng } from '../../src/core/rng.ts';
import { readFileSync } from 'node:fs';
const b0=readFileSync('/work/shared/foreign/brevitas-tfc-1w1a-qonnx.onnx'); const h=new Map<string,number>(); const rng=new Rng(5);
for (let i=0;i<300;i++){ const b=Uint8Array.from(b0); for(let n=1+rng.below(3);n>0;n--) b[rng.below(b.length)]=rng.below(256); let k; try{ const r=convertOnnx(decodeModel(b)); k='ok '+r.report.layers.map(l=>l.kind).join(); }catch(e:any){k=e.code+' '+String(e.message).slice(0,60)} h.set(k,(h.get(k)??0)+1);} console.log([...h].sort((a,b)=>b[1]-a[1]).slice(0,20));
