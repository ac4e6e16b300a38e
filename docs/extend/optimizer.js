/** @type {import('bnn-toolchain').PluginFactory} */
export default ({ tf, define, number }) => ({
  name: 'lion',
  optimizers: [
    define.optimizer({
      name: 'lion', // Chen et al., arXiv:2302.06675
      fields: {
        lionBeta1: number(0.9, 0, 1, 'lion: share of the momentum in a step'),
        lionBeta2: number(0.99, 0, 1, 'lion: share of the momentum that is kept'),
      },
      states: ['momentum'],
      update({ param, gradient, state: [momentum], lr, weightDecay }, { lionBeta1: b1, lionBeta2: b2 }) {
        const direction = tf.sign(tf.add(tf.mul(momentum, b1), tf.mul(gradient, 1 - b1)));
        return [
          tf.sub(param, tf.mul(tf.add(direction, tf.mul(param, weightDecay)), lr)),
          tf.add(tf.mul(momentum, b2), tf.mul(gradient, 1 - b2)),
        ];
      },
    }),
  ],
});
