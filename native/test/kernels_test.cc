// Element-wise, sign-gradient, optimizer, batch-norm, pooling and copy kernels of every instruction set, with 1 to 3 threads, against
// plain loops in double precision. Buffers have exactly the sizes promised, so that the address sanitizer sees any overread.
#include "kernels/batch_norm/batch_norm.h"
#include "kernels/copy/copy.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/optimizer/optimizer.h"
#include "kernels/pooling/pooling.h"
#include "simd/isa.h"
#include "simd/isa_names.h"
#include "test/check.h"
#include "threading/thread_pool.h"

#include <algorithm>
#include <vector>

using bnn_test::expect_close;
using bnn_test::fill_random;
using bnn_test::Floats;
using bnn_test::random_in;

static char label[128];

static double apply(bnn::BinaryOp op, double a, double b) {
  switch (op) {
    case bnn::BinaryOp::kAdd: return a + b;
    case bnn::BinaryOp::kSub: return a - b;
    case bnn::BinaryOp::kMul: return a * b;
    case bnn::BinaryOp::kDiv: return a / b;
    case bnn::BinaryOp::kMax: return std::max(a, b);
    case bnn::BinaryOp::kMin: return std::min(a, b);
  }
  return NAN;
}

static void test_binary() {
  const int64_t rows = random_in(1, 300), length = random_in(1, 90);
  for (int op = 0; op < bnn::kBinaryOps; op++) {
    for (int kinds = 0; kinds < 9; kinds++) {
      const auto ka = static_cast<bnn::Operand>(kinds / 3), kb = static_cast<bnn::Operand>(kinds % 3);
      const auto size = [&](bnn::Operand k) {
        return k == bnn::Operand::kFull ? rows * length : k == bnn::Operand::kRow ? length : 1;
      };
      const auto at = [&](bnn::Operand k, int64_t i) {
        return k == bnn::Operand::kFull ? i : k == bnn::Operand::kRow ? i % length : 0;
      };
      Floats a(size(ka)), b(size(kb)), y(rows * length), want(rows * length);
      fill_random(a);
      for (int64_t i = 0; i < b.size(); i++) b[i] = 0.5f + 0.25f * bnn_test::random_float();
      for (int64_t i = 0; i < want.size(); i++) {
        want[i] = static_cast<float>(apply(static_cast<bnn::BinaryOp>(op), a[at(ka, i)], b[at(kb, i)]));
      }
      bnn::binary(static_cast<bnn::BinaryOp>(op), a.data(), ka, b.data(), kb, y.data(), rows, length);
      expect_close(y, want, 2e-7, label, "binary");
    }
  }
}

static void test_clip() {
  const int64_t n = random_in(1, 40000);
  Floats x(n), dy(n), y(n), dx(n), want(n), want_dx(n);
  fill_random(x);
  fill_random(dy);
  const float limits[][2] = {{-0.3f, 0.5f}, {0.0f, INFINITY}, {-INFINITY, 0.25f}, {-INFINITY, INFINITY}};
  for (const auto& [low, high] : limits) {
    x[0] = low;
    if (n > 1) x[1] = high;
    for (int64_t i = 0; i < n; i++) {
      want[i] = std::min(std::max(x[i], low), high);
      const bool inside = (want[i] > low || low == -INFINITY) && (want[i] < high || high == INFINITY);
      want_dx[i] = dy[i] * (inside ? 1.0f : 0.0f);
    }
    bnn::clip(x.data(), low, high, y.data(), n);
    bnn_test::expect_same(y, want, label, "clip");
    bnn::clip_grad(y.data(), dy.data(), low, high, dx.data(), n);
    bnn_test::expect_same(dx, want_dx, label, "clip gradient");
  }
  x[0] = NAN;
  bnn::clip(x.data(), 0.0f, 6.0f, y.data(), n);
  bnn::clip_grad(y.data(), dy.data(), 0.0f, 6.0f, dx.data(), n);
  if (!std::isnan(y[0]) || !std::isnan(dx[0])) {
    std::printf("FAIL %s: clip drops NaN\n", label);
    bnn_test::failures()++;
  }
}

static void test_sign_grad() {
  const int64_t n = random_in(1, 40000);
  Floats x(n), dy(n), dx(n), want(n);
  for (int64_t i = 0; i < n; i++) x[i] = bnn_test::random_float() * 2.0f;
  x[0] = 0.1f;
  fill_random(dy);
  for (const double o : {1.0, 1.5, 3.0, 7.25}) {
    const float t = 1.5f, m = 0.1f;
    for (int64_t i = 0; i < n; i++) {
      const float a = std::fabs(x[i]);
      const double p = (1.0 - o) / o;
      const double s = a > t      ? 0.0
                       : o == 1.0 ? 1.0
                       : a <= m   ? std::pow(static_cast<double>(m), p)
                                  : std::pow(static_cast<double>(a), p) / o;
      want[i] = static_cast<float>(dy[i] * s);
    }
    bnn::sign_grad(bnn::reste_gradient(o, t, m), x.data(), dy.data(), dx.data(), n);
    expect_close(dx, want, 1e-6, label, "sign gradient");
  }
}

static void test_slope_table() {
  const int64_t n = random_in(1, 40000), cells = random_in(1, 500);
  Floats x(n), dy(n), dx(n), want(n), pieces(2 * cells);
  for (int64_t i = 0; i < n; i++) x[i] = bnn_test::random_float() * 2.0f;
  fill_random(dy);
  fill_random(pieces);
  const float limit = 1.5f;
  const float scale = static_cast<float>(cells) / limit;
  for (int64_t i = 0; i < n; i++) {
    const float a = std::fabs(x[i]), u = a * scale;
    const int64_t k = std::min(static_cast<int64_t>(u), cells - 1);
    const double s = static_cast<double>(pieces[2 * k]) + static_cast<double>(pieces[2 * k + 1]) * (u - static_cast<float>(k));
    want[i] = a <= limit ? static_cast<float>(dy[i] * s) : 0.0f;
  }
  bnn::sign_grad_table(x.data(), dy.data(), {pieces.data(), static_cast<int>(cells), limit}, dx.data(), n);
  expect_close(dx, want, 1e-6, label, "sign gradient from a table");
  // In place.
  bnn::sign_grad_table(x.data(), dy.data(), {pieces.data(), static_cast<int>(cells), limit}, dy.data(), n);
  bnn_test::expect_same(dy, dx, label, "sign gradient from a table, in place");
}

static void test_dsq() {
  const int64_t n = random_in(1, 40000);
  Floats x(n), dy(n), dx(n), want(n), sum(1), want_sum(1);
  for (int64_t i = 0; i < n; i++) x[i] = bnn_test::random_float() * 1.5f;
  fill_random(dy);
  for (const double alpha : {0.001, 0.2, 0.5}) {
    const auto k_of = [](double a) { return std::log(2.0 / a - 1.0) / 2.0; };
    const auto f = [&](double a, double z) { return std::tanh(k_of(a) * z) / (1.0 - a); };
    double total = 0.0, magnitude = 0.0;
    for (int64_t i = 0; i < n; i++) {
      const double z = x[i], t = std::tanh(k_of(alpha) * z), h = 1e-6 * alpha;
      const bool inside = std::fabs(z) <= 1.0;
      want[i] = inside ? static_cast<float>(dy[i] * k_of(alpha) * (1.0 - t * t) / (1.0 - alpha)) : 0.0f;
      const double rise = inside ? dy[i] * (f(alpha + h, z) - f(alpha - h, z)) / (2.0 * h) : 0.0;
      total += rise;
      magnitude += std::fabs(rise);
    }
    sum[0] = static_cast<float>(bnn::sign_grad_dsq(x.data(), dy.data(), alpha, dx.data(), n) / (1.0 + magnitude));
    want_sum[0] = static_cast<float>(total / (1.0 + magnitude));
    expect_close(dx, want, 2e-6, label, "DSQ");
    expect_close(sum, want_sum, 2e-6, label, "DSQ, the sum for alpha");
  }
}

static void test_optimizers() {
  const int64_t n = random_in(1, 40000);
  Floats p(n), g(n), m(n), v(n), p1(n), m1(n), v1(n), want_p(n), want_m(n);
  fill_random(p);
  fill_random(g);
  fill_random(m);
  for (int64_t i = 0; i < n; i++) v[i] = std::fabs(bnn_test::random_float());
  bnn::sgd_momentum({0.1f, 0.9f, 0.01f}, p.data(), g.data(), m.data(), p1.data(), m1.data(), n);
  for (int64_t i = 0; i < n; i++) {
    const double velocity = 0.9 * m[i] + g[i] + 0.01 * p[i];
    want_m[i] = static_cast<float>(velocity);
    want_p[i] = static_cast<float>(p[i] - 0.1 * velocity);
  }
  expect_close(p1, want_p, 1e-6, label, "sgd parameter");
  expect_close(m1, want_m, 1e-6, label, "sgd velocity");
  for (const bool decoupled : {false, true}) {
    bnn::adam({0.01, 0.9, 0.999, 1e-8, 0.1, 3, decoupled}, p.data(), g.data(), m.data(), v.data(), p1.data(), m1.data(), v1.data(), n);
    for (int64_t i = 0; i < n; i++) {
      const double grad = g[i] + (decoupled ? 0.0 : 0.1 * p[i]);
      const double first = 0.9 * m[i] + 0.1 * grad, second = 0.999 * v[i] + 0.001 * grad * grad;
      const double start = decoupled ? p[i] * (1 - 0.01 * 0.1) : p[i];
      want_p[i] =
          static_cast<float>(start - 0.01 * (first / (1 - std::pow(0.9, 3))) / (std::sqrt(second / (1 - std::pow(0.999, 3))) + 1e-8));
    }
    expect_close(p1, want_p, 1e-5, label, "adam");
  }
}

static void test_batch_norm() {
  const int64_t rows = random_in(2, 3000), c = random_in(1, 150);
  const bool relu = random_in(0, 1) == 1;
  const bnn::BatchNormShape shape{rows, c, 1e-5, relu};
  Floats x(rows * c), dy(rows * c), y(rows * c), dx(rows * c), want(rows * c), want_dx(rows * c);
  Floats scale(c), gamma(c), beta(c), mean(c), variance(c), dgamma(c), dbeta(c), want_mean(c), want_variance(c), want_dgamma(c);
  fill_random(x);
  fill_random(dy);
  for (int64_t i = 0; i < c; i++) {
    scale[i] = 0.5f + std::fabs(bnn_test::random_float());
    gamma[i] = bnn_test::random_float();
    beta[i] = bnn_test::random_float();
  }
  std::vector<double> dscale(static_cast<size_t>(c));
  Floats got_dscale(c), want_dscale(c);
  bnn::batch_norm_train(shape, x.data(), scale.data(), gamma.data(), beta.data(), nullptr, y.data(), mean.data(), variance.data());
  bnn::batch_norm_grad(shape, x.data(), dy.data(), scale.data(), gamma.data(), mean.data(), variance.data(), dx.data(), dgamma.data(),
                       dbeta.data(), dscale.data());
  for (int64_t j = 0; j < c; j++) {
    const auto z = [&](int64_t i) { return static_cast<double>(scale[j]) * x[i * c + j]; };
    const auto r = [&](int64_t i) { return relu ? std::max(z(i), 0.0) : z(i); };
    double mu = 0, var = 0, sum_dy = 0, sum_dyx = 0, sum_scale = 0;
    for (int64_t i = 0; i < rows; i++) mu += r(i) / static_cast<double>(rows);
    for (int64_t i = 0; i < rows; i++) var += (r(i) - mu) * (r(i) - mu) / static_cast<double>(rows);
    const double inverse = 1 / std::sqrt(var + 1e-5);
    for (int64_t i = 0; i < rows; i++) {
      sum_dy += dy[i * c + j];
      sum_dyx += dy[i * c + j] * (r(i) - mu) * inverse;
    }
    for (int64_t i = 0; i < rows; i++) {
      want[i * c + j] = static_cast<float>(gamma[j] * (r(i) - mu) * inverse + beta[j]);
      const double n = static_cast<double>(rows);
      double dz = gamma[j] * inverse * (dy[i * c + j] - sum_dy / n - (r(i) - mu) * inverse * sum_dyx / n);
      if (relu && z(i) <= 0) dz = 0;
      want_dx[i * c + j] = static_cast<float>(dz * scale[j]);
      sum_scale += dz * x[i * c + j];
    }
    want_mean[j] = static_cast<float>(mu);
    want_variance[j] = static_cast<float>(var);
    want_dgamma[j] = static_cast<float>(sum_dyx);
    want_dscale[j] = static_cast<float>(sum_scale);
    got_dscale[j] = static_cast<float>(dscale[static_cast<size_t>(j)]);
  }
  expect_close(mean, want_mean, 1e-6, label, "mean");
  expect_close(variance, want_variance, 1e-6, label, "variance");
  expect_close(y, want, 1e-5, label, "normalised");
  // The incoming gradient serves as the residual.
  for (int64_t i = 0; i < rows * c; i++) want[i] = y[i] + dy[i];
  bnn::batch_norm_train(shape, x.data(), scale.data(), gamma.data(), beta.data(), dy.data(), y.data(), mean.data(), variance.data());
  bnn_test::expect_same(y, want, label, "normalised, residual added");
  expect_close(dgamma, want_dgamma, 2e-5, label, "gamma gradient");
  // With one or two rows the normalised values are ±1 and gradients cancel to nothing but rounding, times 1/√epsilon.
  if (rows > 8) {
    expect_close(dx, want_dx, 1e-4, label, "input gradient");
    expect_close(got_dscale, want_dscale, 1e-3, label, "scale gradient");
  }
}

static void test_pooling() {
  bnn::PoolShape s{};
  s.batch = random_in(1, 4);
  s.in_height = random_in(1, 12);
  s.in_width = random_in(1, 12);
  s.channels = random_in(1, 40);
  s.window_height = random_in(1, s.in_height);
  s.window_width = random_in(1, s.in_width);
  s.stride_height = random_in(1, 3);
  s.stride_width = random_in(1, 3);
  s.pad_top = random_in(0, s.window_height - 1);
  s.pad_left = random_in(0, s.window_width - 1);
  s.out_height = (s.in_height + s.pad_top - s.window_height) / s.stride_height + 1;
  s.out_width = (s.in_width + s.pad_left - s.window_width) / s.stride_width + 1;
  Floats x(s.batch * s.in_height * s.in_width * s.channels), y(s.batch * s.out_height * s.out_width * s.channels);
  Floats dy(y.size()), dx(x.size()), want_max(y.size()), want_avg(y.size()), want_dmax(x.size()), want_davg(x.size());
  fill_random(x);
  fill_random(dy);
  std::vector<double> dmax(static_cast<size_t>(x.size())), davg(static_cast<size_t>(x.size()));
  for (int64_t o = 0; o < y.size(); o++) {
    const int64_t c = o % s.channels, q = o / s.channels % s.out_width, p = o / s.channels / s.out_width % s.out_height;
    const int64_t n = o / s.channels / s.out_width / s.out_height;
    std::vector<int64_t> window;
    for (int64_t i = 0; i < s.window_height; i++) {
      for (int64_t j = 0; j < s.window_width; j++) {
        const int64_t h = p * s.stride_height + i - s.pad_top, w = q * s.stride_width + j - s.pad_left;
        if (h >= 0 && h < s.in_height && w >= 0 && w < s.in_width)
          window.push_back(((n * s.in_height + h) * s.in_width + w) * s.channels + c);
      }
    }
    double sum = 0;
    int64_t best = window[0];
    for (const int64_t at : window) {
      sum += x[at];
      if (x[at] > x[best]) best = at;
    }
    want_max[o] = x[best];
    want_avg[o] = static_cast<float>(sum / static_cast<double>(window.size()));
    dmax[static_cast<size_t>(best)] += dy[o];
    for (const int64_t at : window) davg[static_cast<size_t>(at)] += dy[o] / static_cast<double>(window.size());
  }
  for (int64_t i = 0; i < x.size(); i++) {
    want_dmax[i] = static_cast<float>(dmax[static_cast<size_t>(i)]);
    want_davg[i] = static_cast<float>(davg[static_cast<size_t>(i)]);
  }
  bnn::max_pool(s, x.data(), y.data());
  expect_close(y, want_max, 0, label, "max pool");
  bnn::avg_pool(s, x.data(), y.data());
  expect_close(y, want_avg, 1e-5, label, "average pool");
  bnn::max_pool_grad(s, x.data(), dy.data(), dx.data());
  expect_close(dx, want_dmax, 1e-5, label, "max pool gradient");
  bnn::avg_pool_grad(s, dy.data(), dx.data());
  expect_close(dx, want_davg, 1e-5, label, "average pool gradient");
}

// A transposition by a random permutation, which also takes the merged and the plain paths.
static void test_copy() {
  int64_t size[4], perm[4] = {0, 1, 2, 3}, strides[4];
  for (int64_t& n : size) n = random_in(1, 24);
  for (int d = 3; d > 0; d--) std::swap(perm[d], perm[random_in(0, d)]);
  int64_t count = 1;
  for (int d = 3; d >= 0; d--) {
    strides[d] = count;
    count *= size[d];
  }
  Floats from(count), to(count), want(count);
  fill_random(from);
  bnn::StridedCopy copy{};
  int64_t stride = 1;
  for (int d = 3; d >= 0; d--) {
    copy.size[d] = size[perm[d]];
    copy.from_stride[d] = strides[perm[d]];
    copy.to_stride[d] = stride;
    stride *= copy.size[d];
  }
  for (int64_t i = 0; i < count; i++) {
    int64_t rest = i, source = 0;
    for (int d = 3; d >= 0; d--) {
      source += rest % copy.size[d] * copy.from_stride[d];
      rest /= copy.size[d];
    }
    want[i] = from[source];
  }
  bnn::strided_copy(copy, from.data(), to.data());
  expect_close(to, want, 0, label, "copy");
}

static void test_sum() {
  const int64_t n = random_in(1, 100000);
  Floats x(n), got(1), want(1);
  fill_random(x);
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i];
  got[0] = static_cast<float>(bnn::total_sum(x.data(), n));
  want[0] = static_cast<float>(sum);
  expect_close(got, want, 1e-5, label, "sum");
}

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 4;
  int sets = 0;
  std::printf("kernels of %s\n", bnn::available_isas(", ").c_str());
  for (const bnn::IsaRow& row : bnn::kIsas) {
    if (!bnn::set_active_isa(row.name)) continue;
    sets++;
    for (int threads = 1; threads <= 3; threads++) {
      bnn::set_thread_count(threads);
      for (int round = 0; round < rounds; round++) {
        std::snprintf(label, sizeof label, "%s, %d threads, round %d", row.name, threads, round);
        test_binary();
        test_clip();
        test_sign_grad();
        test_slope_table();
        test_dsq();
        test_optimizers();
        test_batch_norm();
        test_pooling();
        test_copy();
        test_sum();
      }
    }
  }
  std::printf("kernels: %d instruction sets, %d failures\n", sets, bnn_test::failures());
  return bnn_test::failures() == 0 ? 0 : 1;
}
