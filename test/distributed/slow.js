/**
 * An augmentation that changes nothing and, with BNN_TEST_SLOW, takes that many milliseconds a picture: however fast the machine is or
 * however late a test hears of it, the run that it stops has not ended by itself. One process at a time is stopped, so waiting is enough.
 */
export default ({ define }) => ({
  name: 'slow',
  augmentations: [
    define.augmentation({
      name: 'slow',
      create: () => {
        const milliseconds = Number(process.env['BNN_TEST_SLOW'] ?? 0);
        const clock = new Int32Array(new SharedArrayBuffer(4));
        return () => {
          if (milliseconds > 0) Atomics.wait(clock, 0, 0, milliseconds);
        };
      },
    }),
  ],
});
