// Layers with float data and binary weights, every instruction set, against sums in double precision.
#include <cstring>
#include <memory>

#include "kernels/binary_weight/binary_weight.h"
#include "simd/isa.h"
#include "test/check.h"

using bnn::BinaryConvShape;
using bnn_test::Floats;
using bnn_test::random_bits;
using bnn_test::random_in;

namespace {

void reference(const BinaryConvShape& s, const bnn::WeightLayerCall& call, const uint8_t* bits, float* y) {
  const int64_t outHeight = s.out_size(0, call.height), outWidth = s.out_size(1, call.width), perGroup = s.outputs / s.groups;
  int64_t index = 0;
  for (int64_t n = 0; n < call.batch; n++)
    for (int64_t o = 0; o < s.outputs; o++)
      for (int64_t i = 0; i < outHeight; i++)
        for (int64_t j = 0; j < outWidth; j++, index++) {
          double sum = 0;
          for (int64_t r = 0; r < s.kernel[0]; r++)
            for (int64_t t = 0; t < s.kernel[1]; t++) {
              const int64_t row = i * s.strides[0] + r * s.dilations[0] - s.pads[0];
              const int64_t column = j * s.strides[1] + t * s.dilations[1] - s.pads[1];
              if (row < 0 || row >= call.height || column < 0 || column >= call.width) continue;
              for (int64_t c = 0; c < s.channels; c++) {
                const uint8_t byte = bits[((o * s.kernel[0] + r) * s.kernel[1] + t) * ((s.channels + 7) / 8) + c / 8];
                const int64_t channel = n * s.channels * s.groups + o / perGroup * s.channels + c;
                const double x = call.x[(channel * call.height + row) * call.width + column];
                sum += (byte & (1 << (c % 8))) != 0 ? x : -x;
              }
            }
          if (call.relu && sum < 0) sum = 0;
          const double value = call.scale[o] * sum + call.bias[o];
          y[index] = static_cast<float>(call.residual != nullptr ? value + call.residual[index] : value);
        }
}

// Sums of up to 630 terms below 1 in single precision, in another order.
constexpr double kTolerance = 5e-5;

void check(const BinaryConvShape& s, int64_t batch, int64_t height, int64_t width, const char* label) {
  const int64_t outSize = batch * s.outputs * s.out_size(0, height) * s.out_size(1, width);
  const int64_t byteCount = s.outputs * s.taps() * ((s.channels + 7) / 8);
  const std::unique_ptr<uint8_t[]> bits(new uint8_t[static_cast<size_t>(byteCount)]);
  for (int64_t i = 0; i < byteCount; i++) bits[static_cast<size_t>(i)] = static_cast<uint8_t>(random_bits() >> 8);
  Floats x(batch * s.channels * s.groups * height * width), scale(s.outputs), bias(s.outputs), residual(outSize);
  Floats y(outSize), want(outSize);
  for (Floats* values : {&x, &scale, &bias, &residual}) bnn_test::fill_random(*values);
  const uint32_t variant = random_bits() >> 4;
  bnn::WeightLayerCall call{
      batch,   height, width, x.data(), scale.data(), bias.data(), (variant & 1) != 0, (variant & 2) != 0 ? residual.data() : nullptr,
      y.data()};
  reference(s, call, bits.get(), want.data());
  bnn::binary_weight_conv(s, bnn::unpack_conv_weights(s, bits.get()), call, bnn::serial());
  bnn_test::expect_close(y, want, kTolerance, label, "convolution");
  // A tap may lie in the padding of a single pixel, which a dense layer does not have.
  const bool padded = s.pads[0] + s.pads[1] + s.pads[2] + s.pads[3] > 0;
  if (height != 1 || width != 1 || s.taps() != 1 || s.groups != 1 || padded) return;
  for (int64_t i = 0; i < outSize; i++) y[i] = NAN;
  bnn::binary_weight_gemm(s, bnn::unpack_dense_weights(s, bits.get()), call, bnn::serial());
  bnn_test::expect_close(y, want, kTolerance, label, "dense");
}

void random_conv(const char* isa) {
  BinaryConvShape s{};
  for (int axis = 0; axis < 2; axis++) {
    s.kernel[axis] = random_in(1, 4);
    s.strides[axis] = random_in(1, 3);
    s.dilations[axis] = random_in(1, 2);
  }
  for (int64_t& pad : s.pads) pad = random_bits() % 2 == 0 ? 0 : random_in(0, 2);
  s.groups = random_bits() % 3 == 0 ? 2 : 1;
  s.channels = random_in(1, 40);
  s.outputs = s.groups * random_in(1, 10);
  const int64_t height = random_in(1, 12), width = random_in(1, 20);
  if (s.out_size(0, height) < 1 || s.out_size(1, width) < 1) return;
  char label[160];
  std::snprintf(label, sizeof label, "%s, %lldx%lld image, %lld channels, kernel %lldx%lld, stride %lld,%lld", isa, (long long)height,
                (long long)width, (long long)s.channels, (long long)s.kernel[0], (long long)s.kernel[1], (long long)s.strides[0],
                (long long)s.strides[1]);
  check(s, random_in(1, 3), height, width, label);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
  int sets = 0;
  for (const bnn::IsaRow& row : bnn::kIsas) {
    if (!bnn::set_active_isa(row.name)) continue;
    sets++;
    const char* isa = row.name;
    for (int round = 0; round < rounds; round++) random_conv(isa);
    // A whole tile of pixels and more panel rows than are kept at a time.
    check({{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1, 70, 9}, 1, 9, 17, isa);
    // 3×3 neighbours of many channels: odd images, padding that differs, groups, more lanes than a block, outputs that do not fill tiles.
    check({{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1, 16, 16}, 1, 7, 7, isa);
    check({{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1, 17, 37}, 5, 4, 4, isa);
    check({{3, 3}, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1, 33, 70}, 2, 9, 30, isa);
    check({{3, 3}, {1, 1}, {2, 0, 1, 3}, {1, 1}, 2, 16, 40}, 2, 5, 150, isa);
    check({{3, 3}, {1, 1}, {1, 2, 0, 0}, {1, 1}, 1, 20, 18}, 40, 2, 1, isa);
    check({{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1, 64, 64}, 1, 14, 14, isa);
    // Pixels that no tap sees.
    check({{1, 1}, {2, 2}, {0, 0, 0, 0}, {1, 1}, 1, 70, 20}, 3, 9, 31, isa);
    check({{1, 1}, {1, 3}, {0, 0, 0, 0}, {1, 1}, 2, 17, 6}, 2, 4, 10, isa);
    check({{1, 1}, {3, 1}, {0, 0, 0, 0}, {1, 1}, 1, 5, 9}, 1, 8, 70, isa);
    for (const int64_t rows : {1, 3, 4, 5}) check(bnn::dense_shape(37, 1 + 43 * (rows % 3)), rows, 1, 1, isa);
  }
  std::printf("binary_weight: %d instruction sets, %d failures\n", sets, bnn_test::failures());
  return bnn_test::failures() == 0 ? 0 : 1;
}
