import { Generator } from './zz-gen.ts';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { withZeros } from './build.ts';
import { createRun } from './run-model.ts';
import { maxAbsoluteError } from '../../src/core/tolerance.ts';
const SHAPE=[2,4,6,6]; let bad=0;
for (let seed=Number(process.argv[2]); seed<Number(process.argv[3]); seed++) {
 try { const src=new Generator(seed).model(); const r=convertOnnx(src);
 const x = withZeros(288, seed).map((v) => Math.round(4 * v) / 4);
 const e=await (await createRun(src))(x,SHAPE); const s=e.reduce((a,y)=>Math.max(a,Math.abs(y)),1);
 const d=[maxAbsoluteError(await (await createRun(r.model))(x,SHAPE),e)/s, maxAbsoluteError(await (await createRun(r.lowered.model))(x,SHAPE),e)/s];
 if (Math.max(...d)>1e-6) {bad++; console.log(seed,d);} } catch(e) { bad++; console.log(seed, String(e).slice(0,300)); } }
console.log('bad',bad);
