// Every row of tiles against the bit-by-bit reference, exactly, on a grid of shapes around the vector widths and on random ones.
// The reference itself is compared with float arithmetic on ±1.
#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "kernels/binarize/dispatch.h"
#include "kernels/binary_conv/binary_conv.h"
#include "kernels/binary_gemm/binary_gemm.h"
#include "test/check.h"

using bnn::BinaryConvShape;
using bnn_test::expect_same;
using bnn_test::Floats;
using bnn_test::random_bits;
using bnn_test::random_in;

namespace {

// Makes an instruction set the active one; false when the processor lacks it or it has no tiles of its own.
bool selects_tiles(const bnn::IsaRow& isa) {
  return bnn::set_active_isa(isa.name) && std::strcmp(bnn::binary_tile_row().name, isa.name) == 0;
}

// A heap block of exactly n bytes.
struct Bytes {
  explicit Bytes(int64_t n) : size(n), data(new uint8_t[static_cast<size_t>(n)]) {
    for (int64_t i = 0; i < n; i++) data[static_cast<size_t>(i)] = static_cast<uint8_t>(random_bits() >> 8);
  }
  int64_t size;
  std::unique_ptr<uint8_t[]> data;
};

// Small values, zeros of both signs, NaN and infinities.
void fill_data(Floats& x) {
  static const float special[] = {0.0f, -0.0f, NAN, INFINITY, -INFINITY, 1e-40f, -1e-40f};
  for (int64_t i = 0; i < x.size(); i++) {
    x[i] = random_bits() % 50 == 0 ? special[random_bits() % 7] : bnn_test::random_float();
  }
}

void fill_small(Floats& x) {
  for (int64_t i = 0; i < x.size(); i++) x[i] = static_cast<float>(random_in(-8, 8)) * 0.25f;
}

bnn::Parallel threads(const int* count) {
  return {[](const void* self, void (*fn)(void*, size_t), size_t total, void* data) {
            const size_t workers = static_cast<size_t>(*static_cast<const int*>(self));
            std::vector<std::thread> pool;
            for (size_t t = 0; t < workers; t++) {
              pool.emplace_back([=] {
                for (size_t i = t; i < total; i += workers) fn(data, i);
              });
            }
            for (std::thread& thread : pool) thread.join();
          },
          count};
}

// One of the epilogues, with its numbers on the heap. Thresholds lie among the accumulators, or between two of them.
class RandomEpilogue {
 public:
  RandomEpilogue(const BinaryConvShape& s, int64_t outSize)
      : shape_(s),
        scale_(s.outputs),
        bias_(s.outputs),
        slope_(s.outputs),
        offset_(s.outputs),
        threshold_(s.outputs),
        residual_(outSize) {
    for (Floats* values : {&scale_, &bias_, &slope_, &offset_, &threshold_}) fill_small(*values);
    bnn_test::fill_random(residual_);
    const uint32_t choice = random_bits() >> 4;
    plain_.scale = scale_.data();
    plain_.bias = bias_.data();
    plain_.relu = (choice & 1) != 0;
    if ((choice & 2) != 0) plain_.residual = residual_.data();
    if ((choice & 4) != 0) {
      plain_.slope = slope_.data();
      plain_.offset = offset_.data();
    }
    if ((choice & 24) == 0) {
      plain_ = bnn::Epilogue{};
      plain_.threshold = threshold_.data();
    }
  }

  // As the reference wants it.
  const bnn::Epilogue& plain() const { return plain_; }

  // As the kernels want it: the vectors padded.
  bnn::Epilogue padded(const bnn::BinaryWeights& weights) {
    bnn::Epilogue e = plain_;
    for (const float** vector : {&e.scale, &e.bias, &e.slope, &e.offset, &e.threshold}) {
      if (*vector == nullptr) continue;
      padded_.emplace_back(static_cast<size_t>(shape_.groups * weights.groupOutputs));
      bnn::pad_outputs(shape_, weights, *vector, padded_.back().data());
      *vector = padded_.back().data();
    }
    return e;
  }

 private:
  BinaryConvShape shape_;
  Floats scale_, bias_, slope_, offset_, threshold_, residual_;
  bnn::Epilogue plain_{};
  std::vector<std::vector<float>> padded_;
};

// Float arithmetic, tap by tap of the input: written unlike the reference.
void float_conv(const BinaryConvShape& s, const bnn::BinaryConvCall& call, const uint8_t* bits, Floats& acc) {
  const int64_t oh = s.out_size(0, call.height), ow = s.out_size(1, call.width), perGroup = s.outputs / s.groups;
  for (int64_t i = 0; i < acc.size(); i++) acc[i] = 0.0f;
  const float* x = call.x;
  for (int64_t n = 0; n < call.batch; n++)
    for (int64_t channel = 0; channel < s.channels * s.groups; channel++)
      for (int64_t row = 0; row < call.height; row++)
        for (int64_t column = 0; column < call.width; column++, x++)
          for (int64_t r = 0; r < s.kernel[0]; r++)
            for (int64_t t = 0; t < s.kernel[1]; t++) {
              const int64_t i = row + s.pads[0] - r * s.dilations[0], j = column + s.pads[1] - t * s.dilations[1];
              if (i < 0 || j < 0 || i % s.strides[0] != 0 || j % s.strides[1] != 0) continue;
              if (i / s.strides[0] >= oh || j / s.strides[1] >= ow) continue;
              for (int64_t o = channel / s.channels * perGroup; o < (channel / s.channels + 1) * perGroup; o++) {
                const int64_t c = channel % s.channels;
                const uint8_t byte = bits[((o * s.kernel[0] + r) * s.kernel[1] + t) * ((s.channels + 7) / 8) + c / 8];
                const float w = (byte & (1 << (c % 8))) != 0 ? 1.0f : -1.0f;
                const float least = call.xThreshold != nullptr ? call.xThreshold[channel] : 0.0f;
                acc[((n * s.outputs + o) * oh + i / s.strides[0]) * ow + j / s.strides[1]] += *x >= least ? w : -w;
              }
            }
}

// [batch][a][b] -> [batch][b][a].
void swap_axes(int64_t batch, int64_t a, int64_t b, Floats& from, Floats& to) {
  for (int64_t n = 0; n < batch; n++)
    for (int64_t i = 0; i < a; i++)
      for (int64_t j = 0; j < b; j++) to[(n * b + j) * a + i] = from[(n * a + i) * b + j];
}

// x[batch][channels][pixels] -> one word for 32 channels of a pixel: bit 1 where x >= least(channel).
std::vector<uint32_t> bits_of(Floats& x, int64_t batch, int64_t channels, int64_t pixels, const float* least) {
  const int64_t planes = (channels + 31) / 32;
  std::vector<uint32_t> words(static_cast<size_t>(batch * planes * pixels));
  for (int64_t n = 0; n < batch; n++)
    for (int64_t c = 0; c < channels; c++)
      for (int64_t p = 0; p < pixels; p++) {
        const float threshold = least != nullptr ? least[c] : 0.0f;
        const uint32_t bit = x[(n * channels + c) * pixels + p] >= threshold ? 1 : 0;
        words[static_cast<size_t>((n * planes + c / 32) * pixels + p)] |= bit << c % 32;
      }
  return words;
}

// Bits in, bits out, with the floats beside them and, where nothing is added to them, without.
void check_bits(const BinaryConvShape& s, const bnn::BinaryWeights& weights, const bnn::BinaryConvPlan& plan, bnn::BinaryConvCall call,
                Floats& x, Floats& want, const char* label) {
  const int64_t inPixels = call.height * call.width, outPixels = plan.layout.pixels();
  const std::vector<uint32_t> xBits = bits_of(x, call.batch, s.channels, inPixels, call.xThreshold);
  Floats least(s.outputs), padded(weights.groupOutputs), y(want.size());
  fill_small(least);
  bnn::pad_outputs(s, weights, least.data(), padded.data());
  const bool isSign = random_bits() % 2 == 0;
  const std::vector<uint32_t> wantBits = bits_of(want, call.batch, s.outputs, outPixels, isSign ? nullptr : least.data());
  bnn::AlignedArray<int32_t> most;
  if (call.epilogue.threshold != nullptr) most = bnn::most_counts(plan, call.epilogue.threshold);
  // Exactly as many as there must be, so that the sanitizers see what is written beyond.
  std::vector<uint32_t> yBits(wantBits.size());
  yBits.shrink_to_fit();
  call.x = nullptr;
  call.xBits = xBits.data();
  call.yBits = yBits.data();
  call.yLeast = isSign ? nullptr : padded.data();
  for (const bnn::IsaRow& isa : bnn::kIsas) {
    if (!selects_tiles(isa)) continue;
    for (const bool floats : {true, false}) {
      if (!floats && call.epilogue.residual != nullptr) continue;
      const int count = 1 + static_cast<int>(random_bits() % 4);
      std::fill(yBits.begin(), yBits.end(), 0xdeadbeefu);
      for (int64_t i = 0; i < y.size(); i++) y[i] = NAN;
      call.y = floats ? y.data() : nullptr;
      call.yMost = !floats && isSign && call.epilogue.threshold != nullptr ? most.data() : nullptr;
      bnn::binary_conv(s, weights, plan, call, count == 1 ? bnn::serial() : threads(&count));
      if (floats) expect_same(y, want, label, "floats beside bits");
      if (yBits != wantBits) {
        std::printf("%s: bits of %s differ\n", label, isa.name);
        bnn_test::failures()++;
      }
    }
  }
}

void check_conv(const BinaryConvShape& s, int64_t batch, int64_t height, int64_t width) {
  char label[256];
  std::snprintf(label, sizeof label,
                "x %lldx%lldx%lldx%lld, groups %lld, outputs %lld, kernel %lldx%lld, stride %lld,%lld, pads %lld,%lld,%lld,%lld, "
                "dilation %lld,%lld",
                (long long)batch, (long long)(s.channels * s.groups), (long long)height, (long long)width, (long long)s.groups,
                (long long)s.outputs, (long long)s.kernel[0], (long long)s.kernel[1], (long long)s.strides[0], (long long)s.strides[1],
                (long long)s.pads[0], (long long)s.pads[1], (long long)s.pads[2], (long long)s.pads[3], (long long)s.dilations[0],
                (long long)s.dilations[1]);
  const int64_t outSize = batch * s.outputs * s.out_size(0, height) * s.out_size(1, width);
  Floats x(batch * s.channels * s.groups * height * width), least(s.channels * s.groups), y(outSize), want(outSize);
  Bytes bits(s.outputs * s.taps() * ((s.channels + 7) / 8));
  fill_data(x);
  fill_small(least);
  RandomEpilogue epilogue(s, outSize);
  const float* xThreshold = random_bits() % 3 == 0 ? least.data() : nullptr;
  bnn::BinaryConvCall call{batch, height, width, x.data(), xThreshold, epilogue.plain(), want.data()};
  bnn::binary_conv_reference(s, call, bits.data.get());
  if (random_bits() % 4 == 0) {
    Floats acc(outSize), unit(s.outputs), zero(s.outputs), reference(outSize);
    for (int64_t o = 0; o < s.outputs; o++) {
      unit[o] = 1.0f;
      zero[o] = 0.0f;
    }
    float_conv(s, call, bits.data.get(), acc);
    bnn::Epilogue identity{};
    identity.scale = unit.data();
    identity.bias = zero.data();
    bnn::BinaryConvCall plain{batch, height, width, x.data(), xThreshold, identity, reference.data()};
    bnn::binary_conv_reference(s, plain, bits.data.get());
    expect_same(reference, acc, label, "reference against floats");
  }
  const bnn::BinaryWeights weights = bnn::pack_binary_weights(s, bits.data.get());
  const bnn::BinaryConvPlan plan = bnn::plan_binary_conv(s, weights, height, width);
  call.epilogue = epilogue.padded(weights);
  call.y = y.data();
  for (const bnn::IsaRow& isa : bnn::kIsas) {
    if (!selects_tiles(isa)) continue;
    const int count = 1 + static_cast<int>(random_bits() % 4);
    for (int64_t i = 0; i < outSize; i++) y[i] = NAN;
    bnn::binary_conv(s, weights, plan, call, count == 1 ? bnn::serial() : threads(&count));
    expect_same(y, want, label, isa.name);
  }
  if (s.groups == 1) check_bits(s, weights, plan, call, x, want, label);
  if (call.epilogue.residual != nullptr || xThreshold != nullptr) return;
  Floats lastX(x.size()), lastWant(outSize);
  swap_axes(batch, s.channels * s.groups, height * width, x, lastX);
  swap_axes(batch, s.outputs, s.out_size(0, height) * s.out_size(1, width), want, lastWant);
  call.x = lastX.data();
  call.channelsLast = true;
  for (const bnn::IsaRow& isa : bnn::kIsas) {
    if (!selects_tiles(isa)) continue;
    const int count = 1 + static_cast<int>(random_bits() % 4);
    for (int64_t i = 0; i < outSize; i++) y[i] = NAN;
    bnn::binary_conv(s, weights, plan, call, count == 1 ? bnn::serial() : threads(&count));
    expect_same(y, lastWant, label, "channels last");
  }
}

void check_gemm(int64_t rows, int64_t channels, int64_t outputs) {
  char label[96];
  std::snprintf(label, sizeof label, "dense %lldx%lld -> %lld", (long long)rows, (long long)channels, (long long)outputs);
  const BinaryConvShape s = bnn::dense_shape(channels, outputs);
  Floats x(rows * channels), y(rows * outputs), want(rows * outputs);
  Bytes bits(outputs * ((channels + 7) / 8));
  fill_data(x);
  RandomEpilogue epilogue(s, rows * outputs);
  bnn::binary_conv_reference(s, {rows, 1, 1, x.data(), nullptr, epilogue.plain(), want.data()}, bits.data.get());
  const bnn::BinaryWeights weights = bnn::pack_binary_weights(s, bits.data.get());
  const bnn::BinaryConvPlan plan = bnn::plan_binary_conv(s, weights, 1, 1);
  const bnn::Epilogue padded = epilogue.padded(weights);
  for (const bnn::IsaRow& isa : bnn::kIsas) {
    if (!selects_tiles(isa)) continue;
    const int count = 1 + static_cast<int>(random_bits() % 4);
    for (int64_t i = 0; i < y.size(); i++) y[i] = NAN;
    bnn::binary_gemm(s, weights, plan, {rows, x.data(), padded, y.data()}, count == 1 ? bnn::serial() : threads(&count));
    expect_same(y, want, label, isa.name);
  }
}

void check_sign(int64_t count) {
  Floats x(count), y(count), want(count);
  fill_data(x);
  for (int64_t i = 0; i < count; i++) want[i] = x[i] >= 0.0f ? 1.0f : -1.0f;
  for (const bnn::IsaRow& isa : bnn::kIsas) {
    if (!selects_tiles(isa)) continue;
    bnn::binarize_row().sign(x.data(), count, y.data());
    expect_same(y, want, "sign", isa.name);
  }
}

void grid() {
  const BinaryConvShape same{{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1, 0, 5};
  for (const int64_t channels : {1, 2, 3, 7, 8, 9, 15, 16, 17, 20, 31, 32, 33, 48, 63, 64, 65, 100, 128, 160}) {
    BinaryConvShape s = same;
    s.channels = channels;
    s.outputs = 1 + channels % 7;
    check_conv(s, 1 + channels % 5, 5, 6);
  }
  // Pixels around the widths of vectors and of a tile.
  for (const int64_t width : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 25, 31, 32, 33, 63, 64, 65, 127, 129}) {
    BinaryConvShape s = same;
    s.channels = 40;
    check_conv(s, 1, 1, width);
    check_conv(s, 2, 3, width);
  }
  // A long sum: counts of bytes must not overflow.
  BinaryConvShape longSum = same;
  longSum.channels = 1030;
  longSum.outputs = 3;
  check_conv(longSum, 1, 3, 5);
  // More kinds of border positions than a register holds.
  BinaryConvShape wide{{5, 7}, {1, 1}, {2, 3, 2, 3}, {1, 1}, 1, 10, 6};
  check_conv(wide, 1, 9, 11);
  BinaryConvShape depthwise{{3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}, 9, 1, 18};
  check_conv(depthwise, 2, 9, 8);
  // Only padding under some taps, and images smaller than the kernel.
  BinaryConvShape small{{3, 3}, {1, 1}, {2, 2, 2, 2}, {2, 2}, 2, 5, 6};
  check_conv(small, 1, 1, 1);
  for (const int64_t rows : {1, 2, 3, 4, 5, 7, 8, 9, 17}) {
    for (const int64_t channels : {1, 31, 32, 33, 127, 128, 500}) check_gemm(rows, channels, 1 + (rows * channels) % 11);
  }
  check_gemm(3, 512, 300);
  for (const int64_t count : {1, 15, 16, 17, 100}) check_sign(count);
}

void random_case() {
  BinaryConvShape s{};
  for (int axis = 0; axis < 2; axis++) {
    s.kernel[axis] = random_in(1, 5);
    s.strides[axis] = random_in(1, 3);
    s.dilations[axis] = random_in(1, 2);
  }
  for (int64_t& pad : s.pads) pad = random_in(0, 3);
  s.groups = random_bits() % 3 == 0 ? random_in(2, 3) : 1;
  s.channels = random_in(1, 90);
  s.outputs = s.groups * random_in(1, 12);
  const int64_t height = random_in(1, 14), width = random_in(1, 20);
  if (s.out_size(0, height) < 1 || s.out_size(1, width) < 1) return;
  check_conv(s, random_in(1, 5), height, width);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 40;
  if (argc > 2) bnn_test::random_state() = static_cast<uint32_t>(std::atoi(argv[2]));
  std::printf("seed %u\n", bnn_test::random_state());
  int rows = 0;
  for (const bnn::IsaRow& isa : bnn::kIsas) rows += selects_tiles(isa) ? 1 : 0;
  grid();
  for (int round = 0; round < rounds; round++) random_case();
  std::printf("binary_conv: %d rows of kernels, %d failures\n", rows, bnn_test::failures());
  return bnn_test::failures() == 0 ? 0 : 1;
}
