/** @type {import('bnn-toolchain').PluginFactory} */
export default ({ define, number, slopeEstimator, always }) => ({
  name: 'triangle',
  estimators: [
    define.estimator({
      name: 'triangle',
      roles: ['weight', 'activation'],
      fields: { triangleWidth: number(1, 0.01, 100, 'triangle: half of its base') },
      create: ({ triangleWidth: width }) =>
        always(
          slopeEstimator({
            name: 'triangle',
            slope: (z) => Math.max(0, 1 - Math.abs(z) / width) / width,
            limit: width,
          }),
        ),
    }),
  ],
});
