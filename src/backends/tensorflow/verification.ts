/** The program, in CommonJS, that shows that a TensorFlow binding can train. Its argument is the path of tfjs-node. */

/** Fits a convolution to a known one by gradient descent and prints {version, hasGpu, losses} as JSON. */
export const VERIFICATION = `
const util = require('node:util');
util.isNullOrUndefined ??= (value) => value === null || value === undefined;
util.isArray ??= Array.isArray;
const tf = require(process.argv[1]);
const sliding = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1] };
const run = (name, inputs, attrs) => tf.engine().runKernel(name, inputs, attrs);
const x = tf.randomNormal([8, 6, 6, 3], 0, 1, 'float32', 1);
const target = run('Conv2D', { x, filter: tf.randomNormal([3, 3, 3, 4], 0, 1, 'float32', 2) }, sliding);
let filter = tf.zeros([3, 3, 3, 4]);
const losses = [];
for (let step = 0; step < 6; step++) {
  const error = tf.sub(run('Conv2D', { x, filter }, sliding), target);
  losses.push(tf.mean(tf.square(error)).dataSync()[0]);
  const gradient = run('Conv2DBackpropFilter', { x, dy: error }, { ...sliding, filterShape: filter.shape });
  filter = tf.sub(filter, tf.mul(gradient, 0.002));
}
const backend = tf.backend();
const version = backend.binding.TF_Version ?? tf.version['tfjs-node'];
console.log(JSON.stringify({ version, hasGpu: backend.isUsingGpuDevice === true, losses: [losses[0], losses.at(-1)] }));
`;
