/** @type {import('bnn-toolchain').PluginFactory} */
export default ({ define, number }) => ({
  name: 'root',
  schedules: [
    define.schedule({
      name: 'root',
      fields: { rootPower: number(0.5, 0.01, 10, 'root: power of the share of steps that is left') },
      rate: ({ lr, step, totalSteps }, { rootPower }) => lr * (1 - step / totalSteps) ** rootPower,
    }),
  ],
});
