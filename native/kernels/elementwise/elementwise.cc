#include "kernels/elementwise/elementwise.h"

#include "threading/thread_pool.h"

#include <cmath>
#include <numeric>
#include <vector>

namespace bnn {
namespace {

constexpr int64_t kGrain = 16384;  // elements worth a thread

}  // namespace

const ElementwiseRow& elementwise_row() {
  static constexpr KernelRow<ElementwiseRow> table[] = BNN_ROWS(elementwise_row);
  return active_row(table);
}

void binary(BinaryOp op, const float* a, Operand a_kind, const float* b, Operand b_kind, float* y, int64_t rows, int64_t length) {
  const ElementwiseRow& row = elementwise_row();
  if (a_kind != Operand::kRow && b_kind != Operand::kRow) {
    parallel_for(rows * length, kGrain, [&](int, int64_t begin, int64_t end) {
      row.binary(op, a_kind == Operand::kFull ? a + begin : a, a_kind, b_kind == Operand::kFull ? b + begin : b, b_kind, y + begin, 1,
                 end - begin);
    });
    return;
  }
  parallel_for(rows, 1 + kGrain / (length + 1), [&](int, int64_t begin, int64_t end) {
    row.binary(op, a_kind == Operand::kFull ? a + begin * length : a, a_kind, b_kind == Operand::kFull ? b + begin * length : b,
               b_kind, y + begin * length, end - begin, length);
  });
}

void unary(UnaryOp op, const float* x, float alpha, float* y, int64_t count) {
  const ElementwiseRow& row = elementwise_row();
  parallel_for(count, kGrain, [&](int, int64_t begin, int64_t end) { row.unary(op, x + begin, alpha, y + begin, end - begin); });
}

void clip(const float* x, float low, float high, float* y, int64_t count) {
  const ElementwiseRow& row = elementwise_row();
  parallel_for(count, kGrain, [&](int, int64_t begin, int64_t end) { row.clip(x + begin, low, high, y + begin, end - begin); });
}

void clip_grad(const float* y, const float* dy, float low, float high, float* dx, int64_t count) {
  const ElementwiseRow& row = elementwise_row();
  parallel_for(count, kGrain,
               [&](int, int64_t begin, int64_t end) { row.clip_grad(y + begin, dy + begin, low, high, dx + begin, end - begin); });
}

void sign_grad_ste(const float* x, const float* dy, float clip, float* dx, int64_t count) {
  const ElementwiseRow& row = elementwise_row();
  parallel_for(count, kGrain, [&](int, int64_t begin, int64_t end) { row.ste(x + begin, dy + begin, clip, dx + begin, end - begin); });
}

SignGradient ste_gradient(float clip) { return {SignGradient::Kind::kSte, clip, {}, {}}; }

SignGradient reste_gradient(double o, float t, float m) {
  const double p = (1.0 - o) / o;
  ResteConstants k{};
  k.t = t;
  k.m = m;
  k.inner = o == 1.0 ? 1.0f : static_cast<float>(std::pow(static_cast<double>(m), p));
  k.outer_scale = static_cast<float>(1.0 / o);
  k.p_high = static_cast<float>(std::round(p * 4096.0) / 4096.0);
  k.p_low = static_cast<float>(p - static_cast<double>(k.p_high));
  return {SignGradient::Kind::kReste, 0.0f, k, {}};
}

SignGradient table_gradient(const SlopeTable& table) { return {SignGradient::Kind::kTable, 0.0f, {}, table}; }

double sign_grad_dsq(const float* x, const float* dy, double alpha, float* dx, int64_t count) {
  const double k = std::log(2.0 / alpha - 1.0) / 2.0, scale = 1.0 / (1.0 - alpha);
  const double slope_of_k = -1.0 / (alpha * (2.0 - alpha));
  const DsqConstants constants{static_cast<float>(-2.0 * k * 1.4426950408889634), static_cast<float>(scale * k),
                               static_cast<float>(scale * scale), static_cast<float>(scale * slope_of_k)};
  const ElementwiseRow& row = elementwise_row();
  const int pieces = piece_count(count, kGrain, max_pieces());
  std::vector<double> sums(static_cast<size_t>(pieces));
  parallel_pieces(count, pieces, [&](int, int piece, int64_t begin, int64_t end) {
    sums[static_cast<size_t>(piece)] = row.dsq(x + begin, dy + begin, constants, dx + begin, end - begin);
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

void SignGradient::apply(const float* x, const float* dy, float* dx, int64_t count) const {
  if (kind == Kind::kSte) elementwise_row().ste(x, dy, clip, dx, count);
  if (kind == Kind::kReste) elementwise_row().reste(x, dy, reste, dx, count);
  if (kind == Kind::kTable) slope_table_row().apply(x, dy, table, dx, count);
}

void sign_grad(const SignGradient& gradient, const float* x, const float* dy, float* dx, int64_t count) {
  parallel_for(count, kGrain,
               [&](int, int64_t begin, int64_t end) { gradient.apply(x + begin, dy + begin, dx + begin, end - begin); });
}

}  // namespace bnn
