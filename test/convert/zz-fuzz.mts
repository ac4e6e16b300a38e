import { attack, sampleModels } from './zz-rob.ts';
import { torchLegacy, torchZip } from './torch-files.ts';
import { convertOnnx } from '../../src/convert/convert-onnx.ts';
import { readPytorchCheckpoint } from '../../src/convert/pytorch/read-checkpoint.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { readFileSync } from 'node:fs';
console.log(attack(sampleModels(), 20000, (b:any)=>convertOnnx(decodeModel(b))));
console.log(attack([torchZip({deflate:false}),torchZip({deflate:true}),torchLegacy(),readFileSync('/work/shared/foreign/mnist-100-bnn_1blk_100.pt')], 20000, (b:any)=>readPytorchCheckpoint(b)));
console.log(attack([readFileSync('/work/shared/foreign/brevitas-tfc-1w1a-qonnx.onnx'),readFileSync('/work/shared/foreign/finn-multithreshold.onnx')], 300, (b:any)=>convertOnnx(decodeModel(b))));
