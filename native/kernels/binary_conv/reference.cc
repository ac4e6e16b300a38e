// Bit by bit, and without anything from the fast path: what every other row is compared with.
#include "kernels/binary_conv/binary_conv.h"

namespace bnn {

static int sign_at(const float* x, int64_t i) { return x[i] >= 0.0f ? 1 : -1; }

void binary_conv_reference(const BinaryConvShape& s, const BinaryConvCall& call, const uint8_t* bits) {
  const int64_t outHeight = s.out_size(0, call.height), outWidth = s.out_size(1, call.width);
  const int64_t rowBytes = (s.channels + 7) / 8, inChannels = s.channels * s.groups, perGroup = s.outputs / s.groups;
  int64_t index = 0;
  for (int64_t n = 0; n < call.batch; n++) {
    for (int64_t o = 0; o < s.outputs; o++) {
      for (int64_t i = 0; i < outHeight; i++) {
        for (int64_t j = 0; j < outWidth; j++, index++) {
          int64_t acc = 0;
          for (int64_t r = 0; r < s.kernel[0]; r++) {
            const int64_t row = i * s.strides[0] + r * s.dilations[0] - s.pads[0];
            if (row < 0 || row >= call.height) continue;
            for (int64_t t = 0; t < s.kernel[1]; t++) {
              const int64_t column = j * s.strides[1] + t * s.dilations[1] - s.pads[1];
              if (column < 0 || column >= call.width) continue;
              const uint8_t* tap = bits + ((o * s.kernel[0] + r) * s.kernel[1] + t) * rowBytes;
              for (int64_t c = 0; c < s.channels; c++) {
                const int64_t channel = o / perGroup * s.channels + c;
                const int weight = (tap[c / 8] >> (c % 8) & 1) != 0 ? 1 : -1;
                acc += weight * sign_at(call.x, ((n * inChannels + channel) * call.height + row) * call.width + column);
              }
            }
          }
          if (call.relu && acc < 0) acc = 0;
          const float scaled = call.scale[o] * static_cast<float>(acc);
          const float biased = scaled + call.bias[o];
          call.y[index] = call.residual != nullptr ? biased + call.residual[index] : biased;
        }
      }
    }
  }
}

}  // namespace bnn
