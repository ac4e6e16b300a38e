/** @type {import('bnn-toolchain').PluginFactory} */
export default ({ tf, define, number }) => ({
  name: 'tanh-slope',
  estimators: [
    define.estimator({
      name: 'tanh-slope',
      roles: ['weight', 'activation'],
      fields: { tanhEnd: number(10, 1, 1000, 'tanh-slope: steepness in the last epoch; 1 in the first') },
      create: ({ tanhEnd }) => ({
        name: 'tanh-slope',
        at(epoch, epochs) {
          const k = tanhEnd ** (epoch / Math.max(1, epochs - 1));
          return {
            name: 'tanh-slope',
            attributes: null, // none of the kernels knows this slope
            surrogate: (z) => Math.tanh(k * z),
            factor: (z) => k * (1 - Math.tanh(k * z) ** 2),
            gradient: (x, dy) => tf.mul(dy, tf.mul(k, tf.sub(1, tf.square(tf.tanh(tf.mul(k, x)))))),
          };
        },
      }),
    }),
  ],
});
