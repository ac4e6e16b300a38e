// Every instruction set and 1 to 3 threads against the double-precision reference, on chosen and on random shapes.
#include "kernels/binary_conv/binary_conv.h"
#include "kernels/conv2d/conv2d.h"
#include "simd/isa.h"
#include "test/check.h"
#include "threading/thread_pool.h"

#include <cmath>
#include <initializer_list>
#include <string>

using bnn::Conv2dShape;
using bnn_test::cleared;
using bnn_test::Floats;

static Conv2dShape random_shape() {
  using bnn_test::random_in;
  for (;;) {
    Conv2dShape s{};
    s.batch = random_in(1, 4);
    s.in_height = random_in(1, 13);
    s.in_width = random_in(1, 20);
    // Half of them without groups, a quarter depthwise.
    const int64_t kind = random_in(0, 3);
    s.groups = kind < 2 ? 1 : random_in(2, kind == 2 ? 4 : 40);
    s.in_channels = s.groups * (kind == 3 ? 1 : random_in(1, 35));
    s.kernel_height = random_in(1, 5);
    s.kernel_width = random_in(1, 5);
    s.out_channels = s.groups * random_in(1, kind == 0 ? 70 : kind == 3 ? 3 : 40);
    s.stride_height = random_in(1, 3);
    s.stride_width = random_in(1, 3);
    s.dilation_height = random_in(1, 2);
    s.dilation_width = random_in(1, 2);
    s.pad_top = random_in(0, 3);
    s.pad_left = random_in(0, 3);
    const int64_t bottom = random_in(0, 3), right = random_in(0, 3);
    const int64_t h = s.in_height + s.pad_top + bottom - (s.kernel_height - 1) * s.dilation_height - 1;
    const int64_t w = s.in_width + s.pad_left + right - (s.kernel_width - 1) * s.dilation_width - 1;
    if (h < 0 || w < 0) continue;
    s.out_height = h / s.stride_height + 1;
    s.out_width = w / s.stride_width + 1;
    return s;
  }
}

// Calls `check` with each instruction set of this processor and each of the numbers of threads, and a label that names both. References are
// computed outside of it, once for all: they take most of the time.
template <typename Check>
static void on_each_row(const std::string& shape, std::initializer_list<int> thread_counts, const Check& check) {
  for (const bnn::IsaRow& isa : bnn::kIsas) {
    if (!bnn::set_active_isa(isa.name)) continue;
    for (const int threads : thread_counts) {
      bnn::set_thread_count(threads);
      check((shape + ", " + isa.name + ", " + std::to_string(threads) + " threads").c_str());
    }
  }
}

static const std::initializer_list<int> kThreadCounts = {1, 2, 3};

static std::string describe(const Conv2dShape& s) {
  char text[320];
  std::snprintf(
      text, sizeof text,
      "x %lldx%lldx%lldx%lld, filter %lldx%lld, out %lldx%lldx%lld, stride %lldx%lld, pad %lld,%lld, dilation %lld,%lld, %lld groups",
      (long long)s.batch, (long long)s.in_height, (long long)s.in_width, (long long)s.in_channels, (long long)s.kernel_height,
      (long long)s.kernel_width, (long long)s.out_height, (long long)s.out_width, (long long)s.out_channels,
      (long long)s.stride_height, (long long)s.stride_width, (long long)s.pad_top, (long long)s.pad_left, (long long)s.dilation_height,
      (long long)s.dilation_width, (long long)s.groups);
  return text;
}

static void check(const Conv2dShape& s, bool signs) {
  Floats x(s.batch * s.in_height * s.in_width * s.in_channels), dx(x.size()), want_dx(x.size());
  Floats f(s.kernel_height * s.kernel_width * s.in_channels / s.groups * s.out_channels), df(f.size()), want_df(f.size());
  Floats y(s.batch * s.out_height * s.out_width * s.out_channels), dy(y.size()), want_y(y.size());
  auto fill = signs ? bnn_test::fill_signs : bnn_test::fill_random;
  fill(x);
  fill(f);
  fill(dy);
  bnn::conv2d_forward_reference(s, x.data(), f.data(), want_y.data());
  bnn::conv2d_input_grad_reference(s, dy.data(), f.data(), want_dx.data());
  bnn::conv2d_filter_grad_reference(s, x.data(), dy.data(), want_df.data());
  const double tolerance = signs ? 0.0 : 2e-4;
  on_each_row(describe(s), kThreadCounts, [&](const char* label) {
    bnn::conv2d_forward(s, x.data(), f.data(), cleared(y).data());
    bnn_test::expect_close(y, want_y, tolerance, label, "forward");
    bnn::conv2d_input_grad(s, dy.data(), f.data(), cleared(dx).data());
    bnn_test::expect_close(dx, want_dx, tolerance, label, "input gradient");
    bnn::conv2d_filter_grad(s, x.data(), dy.data(), cleared(df).data());
    bnn_test::expect_close(df, want_df, tolerance, label, "filter gradient");
  });
}

// Forward only: its result has the same bits as the reference, whether bits or floats are summed.
static void check_binary_forward(const Conv2dShape& s, std::initializer_list<int> thread_counts) {
  Floats x(s.batch * s.in_height * s.in_width * s.in_channels), signs(x.size());
  Floats f(s.kernel_height * s.kernel_width * s.in_channels * s.out_channels), half(f.size());
  Floats y(s.batch * s.out_height * s.out_width * s.out_channels), want(y.size()), want_half(y.size());
  bnn_test::fill_random(x);
  bnn_test::fill_signs(f);
  for (int64_t i = 0; i < x.size(); i += 7) x[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? 0.0f : -0.0f;
  for (int64_t i = 0; i < x.size(); i++) signs[i] = x[i] >= 0 ? 1.0f : -1.0f;
  // One weight that is not ±1: sums of floats, still exact.
  for (int64_t i = 0; i < f.size(); i++) half[i] = f[i];
  half[f.size() - 1] = 0.5f;
  bnn::conv2d_forward_reference(s, signs.data(), f.data(), want.data());
  bnn::conv2d_forward_reference(s, signs.data(), half.data(), want_half.data());
  on_each_row(describe(s), thread_counts, [&](const char* label) {
    bnn::binary_conv2d_forward(s, x.data(), f.data(), cleared(y).data());
    bnn_test::expect_same(y, want, label, "binary forward");
    bnn::binary_conv2d_forward(s, x.data(), half.data(), cleared(y).data());
    bnn_test::expect_close(y, want_half, 0.0, label, "binary forward, a weight of one half");
  });
}

// Channels and outputs around the sizes of words, tiles and bands.
static void check_binary_sizes() {
  for (const int64_t channels : {4, 16, 32, 33, 64, 130}) {
    for (const int64_t outputs : {16, 64, 65, 260}) {
      check_binary_forward({2, 5, 9, channels, 3, 3, outputs, 5, 9, 1, 1, 1, 1, 1, 1}, {2});
      check_binary_forward({2, 8, 8, channels, 3, 3, outputs, 4, 4, 2, 2, 1, 1, 1, 1}, {2});
    }
  }
  // Fewer rows of output than the image allows, and windows that lie in the padding.
  check_binary_forward({2, 8, 8, 16, 3, 3, 16, 5, 8, 1, 1, 1, 1, 1, 1}, {2});
  check_binary_forward({1, 2, 2, 16, 3, 3, 16, 6, 6, 1, 1, 1, 1, 3, 3}, {2});
}

// The slope from a table, applied to chunks and to their tails, has the bits of separate passes.
static void check_table(const Conv2dShape& s, Floats& x, Floats& f, Floats& dy, Floats& added, const char* label) {
  Floats pieces(2 * 37), dx(x.size()), want(x.size());
  bnn_test::fill_random(pieces);
  const bnn::SlopeTable table{pieces.data(), 37, 0.9f};
  bnn::conv2d_input_grad(s, dy.data(), f.data(), want.data());
  bnn::sign_grad_table(x.data(), want.data(), table, want.data(), x.size());
  for (int64_t i = 0; i < x.size(); i++) want[i] += added[i];
  bnn::binary_conv2d_input_grad(s, dy.data(), f.data(), x.data(), bnn::table_gradient(table), added.data(), dx.data());
  bnn_test::expect_same(dx, want, label, "binary input gradient, slope from a table");
}

// The binary kernels read signs from x itself; the reference gets a tensor of signs, and the estimator's factor afterwards.
static void check_binary(const Conv2dShape& s) {
  Floats x(s.batch * s.in_height * s.in_width * s.in_channels), signs(x.size()), dx(x.size()), want_dx(x.size()), sum(x.size());
  Floats f(s.kernel_height * s.kernel_width * s.in_channels * s.out_channels), df(f.size()), want_df(f.size());
  Floats dy(s.batch * s.out_height * s.out_width * s.out_channels);
  bnn_test::fill_random(x);
  bnn_test::fill_signs(f);
  bnn_test::fill_random(dy);
  x[0] = 0.0f;
  if (x.size() > 1) x[1] = -0.0f;
  for (int64_t i = 0; i < x.size(); i++) signs[i] = x[i] >= 0 ? 1.0f : -1.0f;
  const float clip = 0.7f;
  bnn::conv2d_filter_grad_reference(s, signs.data(), dy.data(), want_df.data());
  bnn::conv2d_input_grad_reference(s, dy.data(), f.data(), want_dx.data());
  for (int64_t i = 0; i < x.size(); i++) {
    if (!(std::fabs(x[i]) <= clip)) want_dx[i] = 0.0f;
  }
  on_each_row(describe(s), kThreadCounts, [&](const char* label) {
    bnn::binary_conv2d_filter_grad(s, x.data(), dy.data(), cleared(df).data());
    bnn_test::expect_close(df, want_df, 2e-4, label, "binary filter gradient");
    bnn::binary_conv2d_input_grad(s, dy.data(), f.data(), x.data(), bnn::ste_gradient(clip), nullptr, cleared(dx).data());
    bnn_test::expect_close(dx, want_dx, 2e-4, label, "binary input gradient");
    // The signs serve as what is added.
    for (int64_t i = 0; i < dx.size(); i++) sum[i] = signs[i] + dx[i];
    bnn::binary_conv2d_input_grad(s, dy.data(), f.data(), x.data(), bnn::ste_gradient(clip), signs.data(), cleared(dx).data());
    bnn_test::expect_same(dx, sum, label, "binary input gradient, added");
    check_table(s, x, f, dy, signs, label);
  });
}

// |got − want| within what rounding one or two factors of each product to 8 bits can do, and on average far less. `sums` are those of the
// products' magnitudes; of `terms` channels or tiles.
static void expect_rounded(Floats& got, Floats& want, Floats& sums, bool by_tiles, int64_t terms, int rounded, const char* label,
                           const char* what) {
  const double unit = rounded * std::ldexp(1.0, -8);
  double errors = 0, squares = 0;
  for (int64_t i = 0; i < want.size(); i++) {
    // By tiles, 9 products of factors up to 4 and (1 + ½ + ½ + 1)² / 4, of numbers up to 1, are rounded.
    const double bound = (by_tiles ? 64.0 * static_cast<double>(terms) : static_cast<double>(sums[i])) * (unit + 1e-5) + 1e-6;
    const double error = std::fabs(static_cast<double>(got[i]) - want[i]);
    if (!(error <= bound)) {
      std::printf("FAIL %s, %s: element %lld is %.9g, expected %.9g, off by more than %.3g\n", what, label, static_cast<long long>(i),
                  got[i], want[i], bound);
      bnn_test::failures()++;
      return;
    }
    errors += error * error;
    squares += static_cast<double>(sums[i]) * sums[i];
  }
  // Errors of single roundings are independent; of few numbers that says nothing.
  const double most = want.size() < 500 ? 1.0 : 1.5 * unit;
  if (errors <= squares * most * most) return;
  std::printf("FAIL %s, %s: off by %.3g of the magnitude\n", what, label, std::sqrt(errors / squares));
  bnn_test::failures()++;
}

static void magnitudes(Floats& from, Floats& to) {
  for (int64_t i = 0; i < from.size(); i++) to[i] = std::fabs(from[i]);
}

// Products in bfloat16, forward and of the gradients, against double: of ±1 filters or of any, the same bits every time; and against those of
// an instruction set that has no such products, which rounds and multiplies floats.
static void check_bf16(Conv2dShape s, bool signs) {
  s.precision = bnn::Precision::kBf16;
  Floats x(s.batch * s.in_height * s.in_width * s.in_channels), dx(x.size()), again_dx(x.size()), scalar_dx(x.size());
  Floats f(s.kernel_height * s.kernel_width * s.in_channels * s.out_channels), df(f.size()), again_df(f.size()), scalar_df(f.size());
  Floats dy(s.batch * s.out_height * s.out_width * s.out_channels), y(dy.size()), again_y(dy.size()), scalar_y(dy.size());
  auto fill = signs ? bnn_test::fill_signs : bnn_test::fill_random;
  fill(x);
  fill(f);
  bnn_test::fill_random(dy);
  Floats want_y(y.size()), want_dx(x.size()), want_df(f.size());
  bnn::conv2d_forward_reference(s, x.data(), f.data(), want_y.data());
  bnn::conv2d_input_grad_reference(s, dy.data(), f.data(), want_dx.data());
  bnn::conv2d_filter_grad_reference(s, x.data(), dy.data(), want_df.data());
  Floats size_x(x.size()), size_f(f.size()), size_dy(dy.size()), sums_y(y.size()), sums_dx(x.size()), sums_df(f.size());
  magnitudes(x, size_x);
  magnitudes(f, size_f);
  magnitudes(dy, size_dy);
  bnn::conv2d_forward_reference(s, size_x.data(), size_f.data(), sums_y.data());
  bnn::conv2d_input_grad_reference(s, size_dy.data(), size_f.data(), sums_dx.data());
  bnn::conv2d_filter_grad_reference(s, size_x.data(), size_dy.data(), sums_df.data());
  bnn::set_active_isa("scalar");
  bnn::conv2d_forward(s, x.data(), f.data(), scalar_y.data());
  bnn::conv2d_input_grad(s, dy.data(), f.data(), scalar_dx.data());
  bnn::conv2d_filter_grad(s, x.data(), dy.data(), scalar_df.data());
  const bool by_tiles = s.kernel_height == 3 && s.kernel_width == 3 && s.stride_height == 1 && s.stride_width == 1;
  on_each_row(describe(s), kThreadCounts, [&](const char* label) {
    bnn::conv2d_forward(s, x.data(), f.data(), cleared(y).data());
    expect_rounded(y, want_y, sums_y, by_tiles, s.in_channels, 2, label, "forward in bf16");
    if (signs) bnn_test::expect_same(y, want_y, label, "forward in bf16, of signs");
    bnn::conv2d_forward(s, x.data(), f.data(), cleared(again_y).data());
    bnn_test::expect_same(again_y, y, label, "forward in bf16, again");
    bnn_test::expect_close(scalar_y, y, 2e-4, label, "forward in bf16, scalar");
    bnn::conv2d_input_grad(s, dy.data(), f.data(), cleared(dx).data());
    expect_rounded(dx, want_dx, sums_dx, by_tiles, s.out_channels, signs ? 1 : 2, label, "input gradient in bf16");
    bnn::conv2d_input_grad(s, dy.data(), f.data(), cleared(again_dx).data());
    bnn_test::expect_same(again_dx, dx, label, "input gradient in bf16, again");
    bnn_test::expect_close(scalar_dx, dx, 2e-4, label, "input gradient in bf16, scalar");
    bnn::conv2d_filter_grad(s, x.data(), dy.data(), cleared(df).data());
    expect_rounded(df, want_df, sums_df, by_tiles, s.batch * s.out_height * s.out_width, signs ? 1 : 2, label,
                   "filter gradient in bf16");
    bnn::conv2d_filter_grad(s, x.data(), dy.data(), cleared(again_df).data());
    bnn_test::expect_same(again_df, df, label, "filter gradient in bf16, again");
    bnn_test::expect_close(scalar_df, df, 1e-3, label, "filter gradient in bf16, scalar");
    if (!signs) return;
    bnn::binary_conv2d_filter_grad(s, x.data(), dy.data(), cleared(again_df).data());
    bnn_test::expect_same(again_df, df, label, "binary filter gradient in bf16");
  });
}

// Outputs of a convolution are computed alike whoever computes them: no difference between numbers of threads.
static void check_bf16_threads() {
  Conv2dShape s{5, 9, 7, 20, 3, 3, 34, 9, 7, 1, 1, 1, 1, 1, 1};
  s.precision = bnn::Precision::kBf16;
  Floats f(9 * s.in_channels * s.out_channels), dy(s.batch * 63 * s.out_channels), one(s.batch * 63 * s.in_channels), dx(one.size());
  Floats x(one.size()), one_y(dy.size()), y(dy.size());
  bnn_test::fill_random(x);
  bnn_test::fill_signs(f);
  bnn_test::fill_random(dy);
  on_each_row(describe(s), {1}, [&](const char* label) {
    bnn::conv2d_input_grad(s, dy.data(), f.data(), one.data());
    bnn::conv2d_forward(s, x.data(), f.data(), one_y.data());
    for (int threads = 2; threads <= 3; threads++) {
      bnn::set_thread_count(threads);
      bnn::conv2d_input_grad(s, dy.data(), f.data(), cleared(dx).data());
      bnn_test::expect_same(dx, one, label, "input gradient in bf16 on more threads");
      bnn::conv2d_forward(s, x.data(), f.data(), cleared(y).data());
      bnn_test::expect_same(y, one_y, label, "forward in bf16 on more threads");
    }
  });
}

static void check_all(const Conv2dShape& s, std::initializer_list<bool> signs) {
  for (const bool all_signs : signs) {
    check(s, all_signs);
    if (s.groups == 1) check_bf16(s, all_signs);
  }
  if (s.groups != 1) return;
  check_binary_forward(s, kThreadCounts);
  check_binary(s);
}

// 3×3 neighbours with many channels go another way: odd images, padding on any side, channels that do not fill vectors, many small images.
static void check_tiles() {
  const Conv2dShape shapes[] = {{2, 7, 9, 16, 3, 3, 16, 7, 9, 1, 1, 1, 1, 1, 1},
                                {1, 8, 8, 17, 3, 3, 33, 6, 6, 1, 1, 1, 1, 0, 0},
                                {3, 5, 6, 35, 3, 3, 16, 7, 8, 1, 1, 1, 1, 2, 2},
                                {2, 4, 3, 20, 3, 3, 50, 6, 2, 1, 1, 1, 1, 3, 0},
                                {9, 4, 4, 64, 3, 3, 48, 4, 4, 1, 1, 1, 1, 1, 1},
                                {70, 1, 1, 16, 3, 3, 16, 1, 1, 1, 1, 1, 1, 1, 1},
                                {2, 3, 40, 128, 3, 3, 16, 3, 40, 1, 1, 1, 1, 1, 1},
                                {1, 33, 31, 16, 3, 3, 18, 33, 31, 1, 1, 1, 1, 1, 1},
                                // Fewer outputs than the image allows.
                                {1, 12, 12, 16, 3, 3, 16, 5, 7, 1, 1, 1, 1, 1, 1}};
  for (const Conv2dShape& s : shapes) check_all(s, {false, true});
}

static void check_matmul() {
  const int64_t m = bnn_test::random_in(1, 120), n = bnn_test::random_in(1, 60), k = bnn_test::random_in(1, 60);
  Floats a(m * k), b(k * n), c(m * n), want(m * n);
  bnn_test::fill_random(a);
  bnn_test::fill_random(b);
  for (int flags = 0; flags < 4; flags++) {
    const bool ta = (flags & 1) != 0, tb = (flags & 2) != 0;
    for (int64_t i = 0; i < m; i++) {
      for (int64_t j = 0; j < n; j++) {
        double sum = 0;
        for (int64_t q = 0; q < k; q++) sum += static_cast<double>(a[ta ? q * m + i : i * k + q]) * b[tb ? j * k + q : q * n + j];
        want[i * n + j] = static_cast<float>(sum);
      }
    }
    const std::string sizes = std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n);
    on_each_row(sizes, kThreadCounts, [&](const char* label) {
      bnn::matmul(m, n, k, ta, tb, a.data(), b.data(), cleared(c).data());
      bnn_test::expect_close(c, want, 1e-5, label, "matmul");
    });
  }
}

// Argument: how many random shapes.
int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 48;
  check_bf16_threads();
  check_binary_sizes();
  check_tiles();
  for (int round = 0; round < rounds; round++) {
    check_all(random_shape(), {round % 2 == 1});
    check_matmul();
  }
  int sets = 0;
  for (const bnn::IsaRow& isa : bnn::kIsas) {
    if (bnn::set_active_isa(isa.name)) {
      sets++;
    } else {
      std::printf("skip %s: not available on this processor\n", isa.name);
    }
  }
  std::printf("conv2d: %d instruction sets, %d failures\n", sets, bnn_test::failures());
  return bnn_test::failures() == 0 ? 0 : 1;
}
