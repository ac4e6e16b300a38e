#include "kernels/elementwise/elementwise.h"
#include "simd/vec.h"

namespace bnn {
namespace BNN_ISA {
namespace {

inline M is_nan(V x) { return x != x; }
inline V magnitude(V x) { return reinterpret_cast<V>(reinterpret_cast<M>(x) & (reinterpret_cast<M>(zero()) + 0x7fffffff)); }

template <BinaryOp kOp>
inline V apply(V a, V b) {
  switch (kOp) {
    case BinaryOp::kAdd: return a + b;
    case BinaryOp::kSub: return a - b;
    case BinaryOp::kMul: return a * b;
    case BinaryOp::kDiv: return a / b;
    case BinaryOp::kMax: return select((a > b) | is_nan(a), a, b);
    case BinaryOp::kMin: return select((a < b) | is_nan(a), a, b);
  }
}

template <Operand kKind>
inline V operand(const float* p, int64_t j) {
  return kKind == Operand::kScalar ? splat(*p) : load(p + j);
}
template <Operand kKind>
inline V operand_n(const float* p, int64_t j, int n) {
  return kKind == Operand::kScalar ? splat(*p) : load_n(p + j, n);
}

template <BinaryOp kOp, Operand kA, Operand kB>
void binary_rows(const float* a, const float* b, float* y, int64_t rows, int64_t length) {
  for (int64_t i = 0; i < rows; i++) {
    int64_t j = 0;
    for (; j + W <= length; j += W) store(y + j, apply<kOp>(operand<kA>(a, j), operand<kB>(b, j)));
    if (j < length) {
      const int n = static_cast<int>(length - j);
      store_n(y + j, apply<kOp>(operand_n<kA>(a, j, n), operand_n<kB>(b, j, n)), n);
    }
    if (kA == Operand::kFull) a += length;
    if (kB == Operand::kFull) b += length;
    y += length;
  }
}

using BinaryRows = void (*)(const float*, const float*, float*, int64_t, int64_t);
#define BNN_KINDS(op)                                                                                          \
  {                                                                                                            \
    binary_rows<op, Operand::kFull, Operand::kFull>, binary_rows<op, Operand::kFull, Operand::kScalar>,        \
        binary_rows<op, Operand::kFull, Operand::kRow>, binary_rows<op, Operand::kScalar, Operand::kFull>,     \
        binary_rows<op, Operand::kScalar, Operand::kScalar>, binary_rows<op, Operand::kScalar, Operand::kRow>, \
        binary_rows<op, Operand::kRow, Operand::kFull>, binary_rows<op, Operand::kRow, Operand::kScalar>,      \
        binary_rows<op, Operand::kRow, Operand::kRow>                                                          \
  }
constexpr BinaryRows kBinary[kBinaryOps][kOperands * kOperands] = {BNN_KINDS(BinaryOp::kAdd), BNN_KINDS(BinaryOp::kSub),
                                                                   BNN_KINDS(BinaryOp::kMul), BNN_KINDS(BinaryOp::kDiv),
                                                                   BNN_KINDS(BinaryOp::kMax), BNN_KINDS(BinaryOp::kMin)};
#undef BNN_KINDS

void binary_range(BinaryOp op, const float* a, Operand a_kind, const float* b, Operand b_kind, float* y, int64_t rows,
                  int64_t length) {
  kBinary[static_cast<int>(op)][static_cast<int>(a_kind) * kOperands + static_cast<int>(b_kind)](a, b, y, rows, length);
}

// Applies f(x vector, dy vector) over a range; dy is not read when kHasDy is false.
template <bool kHasDy, typename F>
inline void map(const float* x, const float* dy, float* y, int64_t count, F f) {
  int64_t i = 0;
  for (; i + W <= count; i += W) store(y + i, f(load(x + i), kHasDy ? load(dy + i) : zero()));
  if (i < count) {
    const int n = static_cast<int>(count - i);
    store_n(y + i, f(load_n(x + i, n), kHasDy ? load_n(dy + i, n) : zero()), n);
  }
}

// Half of what is cut off, less one where the last bit that stays is even, carries into it where it must.
inline V to_bf16(V x) {
  const M bits = reinterpret_cast<M>(x), all = M{} - 1;
  const M last = (bits >> 16) & (M{} + 1);
  const V rounded = reinterpret_cast<V>((bits + last + 0x7fff) & (all << 16));
  return select(is_nan(x), x, select(magnitude(x) < splat(0x1p-126f), zero(), rounded));
}

void unary_range(UnaryOp op, const float* x, float alpha, float* y, int64_t count) {
  const V one = splat(1.0f);
  const V otherwise = splat(alpha);
  switch (op) {
    case UnaryOp::kRelu: map<false>(x, nullptr, y, count, [](V v, V) { return relu(v); }); break;
    case UnaryOp::kStep:
      map<false>(x, nullptr, y, count, [=](V v, V) { return select(is_nan(v), v, select(v > zero(), one, otherwise)); });
      break;
    case UnaryOp::kSign: map<false>(x, nullptr, y, count, [=](V v, V) { return select(v >= zero(), one, -one); }); break;
    case UnaryOp::kAbs: map<false>(x, nullptr, y, count, [](V v, V) { return magnitude(v); }); break;
    case UnaryOp::kSignum:
      map<false>(x, nullptr, y, count, [=](V v, V) { return select(v > zero(), one, select(v < zero(), -one, zero())); });
      break;
    case UnaryOp::kBf16: map<false>(x, nullptr, y, count, [](V v, V) { return to_bf16(v); }); break;
  }
}

void clip_range(const float* x, float low, float high, float* y, int64_t count) {
  const V lowest = splat(low), highest = splat(high);
  map<false>(x, nullptr, y, count, [=](V v, V) { return apply<BinaryOp::kMin>(apply<BinaryOp::kMax>(v, lowest), highest); });
}

void clip_grad_range(const float* y, const float* dy, float low, float high, float* dx, int64_t count) {
  const V lowest = splat(low), highest = splat(high), one = splat(1.0f);
  const M no_low = M{} - (low == -__builtin_inff()), no_high = M{} - (high == __builtin_inff());
  map<true>(y, dy, dx, count, [=](V v, V d) {
    const M is_inside = ((v > lowest) | no_low) & ((v < highest) | no_high);
    return d * select(is_nan(v), v, select(is_inside, one, zero()));
  });
}

void ste_range(const float* x, const float* dy, float clip, float* dx, int64_t count) {
  const V limit = splat(clip);
  map<true>(x, dy, dx, count, [=](V v, V d) { return select(magnitude(v) <= limit, d, select(is_nan(v), v, zero())); });
}

// The polynomial with these coefficients (an even number, the highest power first): odd and even powers are chains of their own, for the
// latency of one is what limits a loop.
template <int N>
inline V polynomial(V x, const float (&coefficients)[N]) {
  const V square = x * x;
  V odd = splat(coefficients[0]), even = splat(coefficients[1]);
#pragma GCC unroll 8
  for (int i = 2; i < N; i += 2) {
    odd = odd * square + splat(coefficients[i]);
    even = even * square + splat(coefficients[i + 1]);
  }
  return odd * x + even;
}

// 2^(high + low) with |low| ≤ 1, at the ends of the range of exponents for a `high` that is beyond them: a minimax polynomial (relative error 8e-8) on what is left of an integer, at most ½.
inline V power_of_two(V high, V low) {
  constexpr float kCoefficients[] = {1.34099997e-3f, 9.67603642e-3f, 5.55029735e-2f, 0.240221068f, 0.693147242f, 1.0000001f};
  // Adding 1.5 · 2^23 rounds to an integer, which then stands in the low bits.
  const V magic = splat(12582912.0f);
  high = select(high > splat(-126.0f), high, splat(-126.0f));
  high = select(high < splat(127.0f), high, splat(127.0f));
  const V shifted = high + low + magic;
  const M n = reinterpret_cast<M>(shifted) - reinterpret_cast<M>(magic);
  const V r = (high - (shifted - magic)) + low;
  return polynomial(r, kCoefficients) * reinterpret_cast<V>((n + 127) << 23);
}

// a^p for normal a > 0: a = 2^e · (1 + z) with 1 + z in [√½, √2); log2(1 + z) / z is a minimax polynomial (error 2.5e-7). The large part
// p · e is exact because p is split, so the result keeps its accuracy for very small a.
inline V power(V a, V p_high, V p_low) {
  constexpr float kCoefficients[] = {-0.149731308f, 0.235708863f, -0.248323113f, 0.28686899f,
                                     -0.360263437f, 0.480931163f, -0.721352458f, 1.4426949f};
  const M bits = reinterpret_cast<M>(a);
  const M shifted = bits - 0x3f3504f3;  // bits of √½
  const M e = shifted >> 23;
  const V z = reinterpret_cast<V>((shifted & 0x007fffff) + 0x3f3504f3) - splat(1.0f);
  const V ef = __builtin_convertvector(e, V);
  return power_of_two(p_high * ef, p_low * ef + (p_high + p_low) * (z * polynomial(z, kCoefficients)));
}

// tanh and sech² from e = exp(−2k·|x|). Sums of 64 vectors are added up in double.
double dsq_range(const float* x, const float* dy, const DsqConstants& k, float* dx, int64_t count) {
  const V one = splat(1.0f), exponent = splat(k.exponent), slope = splat(k.slope), tanh_scale = splat(k.tanh_scale),
          bend = splat(k.bend);
  constexpr int64_t kBlock = 64 * W;
  double total = 0.0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t length = count - begin < kBlock ? count - begin : kBlock;
    V sum = zero();
    map<true>(x + begin, dy + begin, dx + begin, length, [&](V v, V d) {
      const M is_inside = magnitude(v) <= one;
      const V z = select(is_inside, v, zero());
      const V passed = select(is_inside, d, zero());
      const V nan = select(is_nan(v), v, zero());
      const V e = power_of_two(magnitude(z) * exponent, zero());
      const V inverse = one / (one + e);
      const V tanh = (one - e) * inverse;
      const V sech2 = splat(4.0f) * e * inverse * inverse;
      sum += passed * (select(z < zero(), -tanh, tanh) * tanh_scale + z * sech2 * bend) + nan;
      return passed * (sech2 * slope) + nan;
    });
    total += static_cast<double>(horizontal_sum(sum));
  }
  return total;
}

void reste_range(const float* x, const float* dy, const ResteConstants& k, float* dx, int64_t count) {
  const V t = splat(k.t), m = splat(k.m), inner = splat(k.inner), scale = splat(k.outer_scale);
  const V p_high = splat(k.p_high), p_low = splat(k.p_low);
  const bool is_identity = k.p_high == 0.0f && k.p_low == 0.0f;
  map<true>(x, dy, dx, count, [=](V v, V d) {
    const V a = magnitude(v);
    // Outside [m, t] the power is not used; a safe argument keeps it finite.
    const M middle = (a > m) & (a <= t);
    const V s = is_identity ? splat(1.0f) : scale * power(select(middle, a, splat(1.0f)), p_high, p_low);
    const V slope = select(a <= m, inner, select(middle, s, zero()));
    return select(a <= t, d * slope, select(is_nan(v), v, zero()));
  });
}

constexpr ElementwiseRow kRow = {binary_range, unary_range, clip_range, clip_grad_range, ste_range, dsq_range, reste_range};

}  // namespace
}  // namespace BNN_ISA

BNN_DEFINE_ROW(ElementwiseRow, elementwise_row) = BNN_ISA::kRow;

}  // namespace bnn
