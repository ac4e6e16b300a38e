import { definePlugin } from 'bnn-toolchain';

export default definePlugin(({ tf, define, number }) => ({
  name: 'typed',
  estimators: [
    define.estimator({
      name: 'cosine-slope',
      roles: ['activation'],
      fields: { cosineReach: number(1, 0.01, 100, 'cosine-slope: no gradient beyond this') },
      create({ cosineReach: reach }) {
        const k = Math.PI / (2 * reach);
        const inside = (z: number): boolean => Math.abs(z) <= reach;
        return {
          name: 'cosine-slope',
          at: () => ({
            name: 'cosine-slope',
            attributes: null,
            surrogate: (z) => (inside(z) ? Math.sin(k * z) / k : Math.sign(z) / k),
            factor: (z) => (inside(z) ? Math.cos(k * z) : 0),
            gradient: (x, dy) =>
              tf.mul(dy, tf.mul(tf.cos(tf.mul(x, k)), tf.cast(tf.lessEqual(tf.abs(x), reach), 'float32'))),
          }),
        };
      },
    }),
  ],
}));
