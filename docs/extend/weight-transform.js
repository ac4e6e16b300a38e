/** @type {import('bnn-toolchain').PluginFactory} */
export default ({ tf, define, number }) => ({
  name: 'squash',
  weightTransforms: [
    define.weightTransform({
      name: 'squash',
      fields: { squashScale: number(4, 0.1, 1000, 'squash: u = tanh(scale · w)') },
      create: (_epoch, _epochs, { squashScale: scale }) => ({
        forward: (w) => tf.tanh(tf.mul(w, scale)),
        backward: (w, du) => tf.mul(tf.mul(du, scale), tf.sub(1, tf.square(tf.tanh(tf.mul(w, scale))))),
      }),
    }),
  ],
});
