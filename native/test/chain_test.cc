// Chains on every row of kernels against their layers one by one, by the bit-by-bit reference, exactly; and float layers against sums in
// the same order, one fused multiply-add after the other; 8-bit ones against their definition; and those by Winograd's filtering against sums in
// double precision.
#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#include "kernels/chain/chain.h"
#include "test/check.h"

using bnn::BinaryConvShape;
using bnn::ChainStep;
using bnn_test::expect_same;
using bnn_test::Floats;
using bnn_test::random_bits;
using bnn_test::random_in;

namespace {

struct Layer {
  BinaryConvShape shape;
  std::vector<uint8_t> bits;
};

std::vector<float> random_vector(int64_t count, float scale) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = bnn_test::random_float() * scale;
  return values;
}

std::vector<float> padded(const ChainStep& step, const std::vector<float>& values) {
  std::vector<float> result(static_cast<size_t>(step.shape.groups * step.weights.groupOutputs));
  bnn::pad_outputs(step.shape, step.weights, values.data(), result.data());
  return result;
}

// Appends a layer of random weights behind value `input`; `residual` may be −1.
void add_layer(bnn::ChainProgram& program, std::vector<Layer>& layers, int input, int residual, int64_t channels, int64_t outputs,
               bool sign) {
  ChainStep step;
  step.input = input;
  step.output = program.values++;
  step.residual = residual;
  step.shape = {{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 1, channels, outputs};
  Layer layer{step.shape, std::vector<uint8_t>(static_cast<size_t>(outputs * 9 * ((channels + 7) / 8)))};
  for (uint8_t& byte : layer.bits) byte = static_cast<uint8_t>(random_bits() >> 8);
  step.weights = bnn::pack_binary_weights(step.shape, layer.bits.data());
  if (sign) {
    step.threshold = padded(step, random_vector(outputs, 9.0f));
  } else {
    step.scale = padded(step, random_vector(outputs, 0.1f));
    step.bias = padded(step, random_vector(outputs, 1.0f));
    step.relu = random_bits() % 2 == 0;
  }
  if (random_bits() % 3 == 0) step.xThreshold = random_vector(channels, 0.5f);
  layers.push_back(layer);
  program.steps.push_back(std::move(step));
}

// What the steps give one by one.
void run_reference(const bnn::ChainProgram& program, const std::vector<Layer>& layers, int64_t batch, int64_t size, Floats& x,
                   Floats& y) {
  std::vector<std::vector<float>> values{std::vector<float>(x.data(), x.data() + x.size())};
  for (size_t i = 0; i < program.steps.size(); i++) {
    const ChainStep& step = program.steps[i];
    values.emplace_back(static_cast<size_t>(batch * step.shape.outputs * size * size));
    const auto given = [](const std::vector<float>& vector) { return vector.empty() ? nullptr : vector.data(); };
    bnn::Epilogue epilogue{};
    epilogue.scale = given(step.scale);
    epilogue.bias = given(step.bias);
    epilogue.relu = step.relu;
    epilogue.threshold = given(step.threshold);
    if (step.residual >= 0) epilogue.residual = values[static_cast<size_t>(step.residual)].data();
    const bnn::BinaryConvCall call{
        batch, size, size, values[static_cast<size_t>(step.input)].data(), given(step.xThreshold), epilogue, values.back().data()};
    bnn::binary_conv_reference(step.shape, call, layers[i].bits.data());
  }
  for (int64_t i = 0; i < y.size(); i++) y[i] = values.back()[static_cast<size_t>(i)];
}

void check_chain(int64_t batch, int64_t size, int64_t channels) {
  char label[96];
  std::snprintf(label, sizeof label, "chain of %lld channels, %lldx%lldx%lld", (long long)channels, (long long)batch, (long long)size,
                (long long)size);
  bnn::ChainProgram program;
  program.inputs = program.values = 1;
  std::vector<Layer> layers;
  const int64_t inner = random_in(1, 70);
  add_layer(program, layers, 0, -1, channels, inner, true);
  add_layer(program, layers, 1, -1, inner, channels, false);
  add_layer(program, layers, 2, random_bits() % 2 == 0 ? 2 : 0, channels, channels, false);
  add_layer(program, layers, 3, 2, channels, channels, false);
  program.outputs = {4};
  bnn::route_chain(program);
  Floats x(batch * channels * size * size), y(x.size()), want(x.size());
  bnn_test::fill_random(x);
  run_reference(program, layers, batch, size, x, want);
  for (const bnn::IsaRow& isa : bnn::kIsas) {
    if (!bnn::set_active_isa(isa.name)) continue;
    const bnn::ChainPlan plan = bnn::plan_chain(program, {{channels, size, size}});
    for (int64_t i = 0; i < y.size(); i++) y[i] = NAN;
    const float* inputs[1] = {x.data()};
    float* outputs[1] = {y.data()};
    bnn::run_chain(program, plan, batch, inputs, outputs, bnn::serial());
    expect_same(y, want, label, isa.name);
  }
}

void check_float_conv(const BinaryConvShape& s, int64_t height, int64_t width) {
  char label[96];
  std::snprintf(label, sizeof label, "float %lld -> %lld, kernel %lld, stride %lld, %lldx%lld", (long long)s.channels,
                (long long)s.outputs, (long long)s.kernel[0], (long long)s.strides[0], (long long)height, (long long)width);
  const int64_t outHeight = s.out_size(0, height), outWidth = s.out_size(1, width);
  Floats x(s.channels * height * width), y(s.outputs * outHeight * outWidth), want(y.size());
  bnn_test::fill_random(x);
  const std::vector<float> weights = random_vector(s.outputs * s.bits(), 1.0f);
  const bool hasBias = random_bits() % 2 == 0, isScaled = random_bits() % 2 == 0, relu = random_bits() % 2 == 0;
  const std::vector<float> bias = random_vector(hasBias ? s.outputs : 0, 1.0f), scale = random_vector(isScaled ? s.outputs : 0, 1.0f),
                           shift = random_vector(isScaled ? s.outputs : 0, 1.0f);
  for (int64_t at = 0; at < want.size(); at++) {
    const int64_t o = at / (outHeight * outWidth), i = at / outWidth % outHeight, j = at % outWidth;
    const float* w = weights.data() + o * s.bits();
    float z = 0.0f, sum = 0.0f;
    const int64_t batch = bnn::is_pointwise(s) ? bnn::kBatch : 1;
    for (int64_t c = 0; c < s.channels; c++) {
      if (c % batch == 0) sum = 0.0f;
      for (int64_t t = 0; t < s.taps(); t++, w++) {
        const int64_t row = i * s.strides[0] - s.pads[0] + t / s.kernel[1], column = j * s.strides[1] - s.pads[1] + t % s.kernel[1];
        if (row < 0 || row >= height || column < 0 || column >= width) continue;
        sum = std::fma(x[(c * height + row) * width + column], *w, sum);
      }
      if (c % batch == batch - 1 || c + 1 == s.channels) z = c < batch ? sum : sum + z;
    }
    if (hasBias) z += bias[static_cast<size_t>(o)];
    if (relu && z < 0.0f) z = 0.0f;
    if (isScaled) z = std::fma(z, scale[static_cast<size_t>(o)], 0.0f) + shift[static_cast<size_t>(o)];
    want[at] = z;
  }
  const bnn::FloatConv conv = bnn::make_float_conv(s, relu, weights.data(), bias, scale, shift);
  for (const bnn::IsaRow& isa : bnn::kIsas) {
    if (!bnn::set_active_isa(isa.name)) continue;
    for (int64_t i = 0; i < y.size(); i++) y[i] = NAN;
    bnn::float_conv(conv, height, width, x.data(), y.data(), bnn::serial());
    expect_same(y, want, label, isa.name);
  }
}

// What a convolution of stride 2 sums up, of type Sum: [outputs][rows][columns].
template <typename Sum, typename X, typename Weight>
std::vector<Sum> sums_of(const BinaryConvShape& s, int64_t height, int64_t width, const std::vector<X>& x,
                         const std::vector<Weight>& weights) {
  std::vector<Sum> sums;
  for (int64_t o = 0; o < s.outputs; o++) {
    for (int64_t at = 0; at < s.out_size(0, height) * s.out_size(1, width); at++) {
      const int64_t i = at / s.out_size(1, width), j = at % s.out_size(1, width);
      Sum sum = 0;
      const Weight* weight = weights.data() + o * s.bits();
      for (int64_t c = 0; c < s.channels; c++) {
        for (int64_t t = 0; t < s.taps(); t++, weight++) {
          const int64_t row = 2 * i - s.pads[0] + t / s.kernel[1], column = 2 * j - s.pads[1] + t % s.kernel[1];
          if (row < 0 || row >= height || column < 0 || column >= width) continue;
          sum += static_cast<Sum>(x[static_cast<size_t>((c * height + row) * width + column)]) * *weight;
        }
      }
      sums.push_back(sum);
    }
  }
  return sums;
}

float to_byte(float x, int32_t zero) {
  const float low = static_cast<float>(-zero), high = static_cast<float>(255 - zero);
  return std::nearbyint(std::isnan(x) ? low : std::fmin(std::fmax(x, low), high)) + static_cast<float>(zero);
}

void check_int8_conv(const BinaryConvShape& s, const BinaryConvShape& pool, int64_t height, int64_t width) {
  char label[112];
  std::snprintf(label, sizeof label, "int8 %lld -> %lld, kernel %lldx%lld, pool %lldx%lld, %lldx%lld", (long long)s.channels,
                (long long)s.outputs, (long long)s.kernel[0], (long long)s.kernel[1], (long long)pool.kernel[0],
                (long long)pool.kernel[1], (long long)height, (long long)width);
  const int64_t outHeight = s.out_size(0, height), outWidth = s.out_size(1, width);
  const int64_t pooledHeight = pool.out_size(0, outHeight), pooledWidth = pool.out_size(1, outWidth);
  Floats x(s.channels * height * width), y(s.outputs * pooledHeight * pooledWidth), want(y.size());
  bnn_test::fill_random(x);
  bnn::Int8ConvParameters p;
  p.dataScale = 0.03f;
  p.dataZero = static_cast<int32_t>(random_in(0, 255));
  p.resultZero = static_cast<int32_t>(random_in(0, 255));
  p.multiplier = random_vector(s.outputs, 0.02f);
  for (float& m : p.multiplier) m = std::fabs(m);
  p.stepScale = random_vector(s.outputs, 1.0f);
  const bool isScaled = random_bits() % 2 == 0;
  p.scale = random_vector(isScaled ? s.outputs : 0, 1.0f);
  p.shift = random_vector(isScaled ? s.outputs : 0, 1.0f);
  std::vector<int8_t> weights(static_cast<size_t>(s.outputs * s.bits()));
  for (int8_t& w : weights) w = static_cast<int8_t>(random_in(-63, 63));
  for (int64_t o = 0; o < s.outputs; o++) {
    p.bias.push_back(static_cast<int32_t>(random_in(-9999, 9999)));
    p.stepZero.push_back(static_cast<int32_t>(random_in(0, 255)));
  }
  std::vector<int32_t> bytes;
  for (int64_t at = 0; at < x.size(); at++)
    bytes.push_back(static_cast<int32_t>(to_byte(x[at] / p.dataScale, p.dataZero)) - p.dataZero);
  const std::vector<int32_t> sums = sums_of<int32_t>(s, height, width, bytes, weights);
  for (int64_t at = 0; at < want.size(); at++) {
    const int64_t i = at / pooledWidth % pooledHeight, j = at % pooledWidth;
    const size_t o = static_cast<size_t>(at / pooledWidth / pooledHeight);
    float most = 0.0f;
    for (int64_t t = 0; t < pool.taps(); t++) {
      const int64_t row = 2 * i - pool.pads[0] + t / pool.kernel[1], column = 2 * j - pool.pads[1] + t % pool.kernel[1];
      if (row < 0 || row >= outHeight || column < 0 || column >= outWidth) continue;
      const int32_t sum = p.bias[o] + sums[(o * outHeight + row) * outWidth + column];
      most = std::fmax(most, to_byte(static_cast<float>(sum) * p.multiplier[o], p.resultZero));
    }
    volatile float z = (most - static_cast<float>(p.stepZero[o])) * p.stepScale[o];
    if (isScaled) {
      z = z * p.scale[o];
      z = z + p.shift[o];
    }
    want[at] = z;
  }
  const bnn::Int8Conv conv = bnn::make_int8_conv(s, pool, weights.data(), p);
  for (const bnn::IsaRow& isa : bnn::kIsas) {
    if (!bnn::set_active_isa(isa.name)) continue;
    for (int64_t i = 0; i < y.size(); i++) y[i] = NAN;
    bnn::int8_conv(conv, height, width, x.data(), y.data(), bnn::serial());
    expect_same(y, want, label, isa.name);
  }
}

// Each item on a thread of its own, all from the same moment on.
bnn::Parallel threads() {
  return {[](const void*, void (*fn)(void*, size_t), size_t total, void* data) {
            std::vector<std::thread> all;
            std::atomic<size_t> started{0};
            for (size_t i = 0; i < total; i++) {
              all.emplace_back([=, &started] {
                for (started++; started < total;) std::this_thread::yield();
                fn(data, i);
              });
            }
            for (std::thread& thread : all) thread.join();
          },
          nullptr};
}

void check_stem_conv(const BinaryConvShape& s, const BinaryConvShape& pool, int64_t height, int64_t width) {
  char label[128];
  std::snprintf(label, sizeof label, "stem %lld -> %lld, kernel %lldx%lld, %lldx%lld", (long long)s.channels, (long long)s.outputs,
                (long long)s.kernel[0], (long long)s.kernel[1], (long long)height, (long long)width);
  const int64_t outHeight = s.out_size(0, height), outWidth = s.out_size(1, width);
  const int64_t pooledHeight = pool.out_size(0, outHeight), pooledWidth = pool.out_size(1, outWidth);
  Floats x(s.channels * height * width), y(s.outputs * pooledHeight * pooledWidth), want(y.size());
  bnn_test::fill_random(x);
  // Sums of about 1.
  const std::vector<float> weights = random_vector(s.outputs * s.bits(), 3.0f / std::sqrt(static_cast<float>(s.bits())));
  const bool hasBias = random_bits() % 2 == 0, isScaled = random_bits() % 2 == 0, relu = random_bits() % 2 == 0;
  const std::vector<float> bias = random_vector(hasBias ? s.outputs : 0, 1.0f), scale = random_vector(isScaled ? s.outputs : 0, 1.0f),
                           shift = random_vector(isScaled ? s.outputs : 0, 1.0f);
  std::vector<bool> least;
  for (int64_t o = 0; o < s.outputs; o++) least.push_back(random_bits() % 4 == 0);
  const std::vector<double> sums = sums_of<double>(s, height, width, std::vector<float>(x.data(), x.data() + x.size()), weights);
  for (int64_t at = 0; at < want.size(); at++) {
    const int64_t i = at / pooledWidth % pooledHeight, j = at % pooledWidth;
    const size_t o = static_cast<size_t>(at / pooledWidth / pooledHeight);
    double most = -INFINITY;
    for (int64_t t = 0; t < pool.taps(); t++) {
      const int64_t row = 2 * i - pool.pads[0] + t / pool.kernel[1], column = 2 * j - pool.pads[1] + t % pool.kernel[1];
      if (row < 0 || row >= outHeight || column < 0 || column >= outWidth) continue;
      const double sum = sums[(o * outHeight + row) * outWidth + column];
      most = std::fmax(most, least[o] ? -sum : sum);
    }
    double z = (least[o] ? -most : most) + (hasBias ? bias[o] : 0.0f);
    if (relu) z = std::fmax(z, 0.0);
    want[at] = static_cast<float>(isScaled ? z * scale[o] + shift[o] : z);
  }
  const bnn::StemConv conv = bnn::make_stem_conv(s, pool, relu, weights.data(), bias, scale, shift, least);
  for (const bnn::IsaRow& isa : bnn::kIsas) {
    if (!bnn::set_active_isa(isa.name)) continue;
    for (const bnn::Parallel& parallel : {bnn::serial(), threads()}) {
      for (int64_t i = 0; i < y.size(); i++) y[i] = NAN;
      bnn::stem_conv(conv, height, width, x.data(), y.data(), parallel);
      bnn_test::expect_close(y, want, 5e-5, label, isa.name);
    }
  }
}

void check_random_stem(int64_t channels, int64_t outputs, int64_t height, int64_t width) {
  const int64_t rows = random_in(bnn::kStemLeastKernel, bnn::kStemMostKernel),
                columns = random_in(bnn::kStemLeastKernel, bnn::kStemMostKernel);
  check_stem_conv({{rows, columns},
                   {2, 2},
                   {random_in(0, rows - 1), random_in(0, columns - 1), random_in(0, rows - 1), random_in(0, columns - 1)},
                   {1, 1},
                   1,
                   channels,
                   outputs},
                  {{3, 3}, {2, 2}, {1, 1, random_in(0, 1), random_in(0, 1)}, {1, 1}, 1, 1, 1}, height, width);
}

}  // namespace

// Arguments: rounds (40 unless told) and seed.
int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 40;
  if (argc > 2) bnn_test::random_state() = static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10));
  std::printf("seed %u\n", bnn_test::random_state());
  for (int i = 0; i < rounds; i++) {
    check_chain(random_in(1, 3), random_in(1, 17), random_in(1, 70));
    const int64_t kernel = random_in(1, 7), stride = random_in(1, 2), pad = random_in(0, kernel / 2);
    check_float_conv({{kernel, kernel}, {stride, stride}, {pad, pad, pad, pad}, {1, 1}, 1, random_in(1, 4), random_in(1, 19)},
                     random_in(kernel, 20), random_in(kernel, 70));
    const int64_t batches = random_in(1, 2), few = random_in(16, 60);
    check_float_conv({{1, 1}, {stride, stride}, {0, 0, 0, 0}, {1, 1}, 1, batches > 1 ? batches * bnn::kBatch : few, random_in(1, 40)},
                     random_in(1, 15), random_in(1, 15));
    const int64_t window = random_in(1, 3), side = random_in(0, window - 1), other = random_in(1, 9);
    check_int8_conv({{kernel, other}, {2, 2}, {pad, 0, pad, other / 2}, {1, 1}, 1, random_in(1, 4), random_in(1, 11)},
                    {{window, window}, {2, 2}, {side, side, side, side}, {1, 1}, 1, 1, 1}, random_in(kernel + 6, 20),
                    random_in(other + 6, 150));
    check_random_stem(random_in(1, 4), random_in(1, 18), random_in(5, 60), random_in(5, 140));
  }
  // Several groups of rows, which threads share.
  check_random_stem(4, 2, random_in(800, 900), random_in(40, 60));
  int available = 0;
  for (const bnn::IsaRow& isa : bnn::kIsas) available += bnn::set_active_isa(isa.name) ? 1 : 0;
  std::printf("chain: %d instruction sets, %d failures\n", available, bnn_test::failures());
  return bnn_test::failures() > 0 ? 1 : 0;
}
