// Bit by bit, and without anything from the fast path: what every other row is compared with.
#include "kernels/binary_conv/binary_conv.h"

namespace bnn {

static float finish(const Epilogue& e, int64_t acc, int64_t o, int64_t index) {
  if (e.threshold != nullptr) return static_cast<float>(acc) >= e.threshold[o] ? 1.0f : -1.0f;
  const float scaled = e.scale[o] * static_cast<float>(e.relu && acc < 0 ? 0 : acc);
  float z = scaled + e.bias[o];
  if (e.residual != nullptr) z = z + e.residual[index];
  if (e.slope == nullptr) return z;
  const float bent = z < 0.0f ? e.slope[o] * z : z;
  return bent + e.offset[o];
}

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
                const float x = call.x[((n * inChannels + channel) * call.height + row) * call.width + column];
                const float least = call.xThreshold != nullptr ? call.xThreshold[channel] : 0.0f;
                acc += x >= least ? weight : -weight;
              }
            }
          }
          call.y[index] = finish(call.epilogue, acc, o, index);
        }
      }
    }
  }
}

}  // namespace bnn
