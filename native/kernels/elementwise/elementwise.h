// Element-wise operations on float32.
#pragma once

#include "kernels/elementwise/slope_table.h"
#include "simd/isa.h"

#include <cstdint>

namespace bnn {

enum class BinaryOp { kAdd = 0, kSub = 1, kMul = 2, kDiv = 3, kMax = 4, kMin = 5 };
constexpr int kBinaryOps = 6;

// How an operand meets a result of [rows][length]: of the same shape, one number, or one row repeated.
enum class Operand { kFull = 0, kScalar = 1, kRow = 2 };
constexpr int kOperands = 3;

// y[i][j] = a op b. NaN in either operand gives NaN, for kMax and kMin too. y may be a or b.
void binary(BinaryOp op, const float* a, Operand a_kind, const float* b, Operand b_kind, float* y, int64_t rows, int64_t length);

enum class UnaryOp {
  kRelu = 0,  // max(x, 0), NaN for NaN
  kStep = 1,  // 1 where x > 0, NaN for NaN, else alpha
  kSign = 2,  // +1 where x ≥ 0, else −1 (NaN too)
  kAbs = 3,
  kSignum = 4,  // −1, 0 or +1; 0 for NaN
  kBf16 = 5,    // the nearest bfloat16, ties to even; 0 below 2^-126, NaN for NaN
};
constexpr int kUnaryOps = 6;

void unary(UnaryOp op, const float* x, float alpha, float* y, int64_t count);

// y = min(max(x, low), high), NaN for NaN; y may be x.
void clip(const float* x, float low, float high, float* y, int64_t count);
// dx = dy · m with m = 1 where low < y < high, else 0, and NaN for NaN; an infinite limit is none.
void clip_grad(const float* y, const float* dy, float low, float high, float* dx, int64_t count);

// Surrogate gradients of sign: dx = dy · s(x).
// Straight-through: s = 1 where |x| ≤ clip, else 0. clip may be infinite.
void sign_grad_ste(const float* x, const float* dy, float clip, float* dx, int64_t count);
// DSQ (arXiv:1908.05033) with α in [1e-37, 1 − 1e-15]: k = ln(2/α − 1)/2, s = k·sech²(k·x)/(1 − α) for |x| ≤ 1, else 0. Returns
// Σ dy·∂f/∂α with f = tanh(k·x)/(1 − α) for |x| ≤ 1, for those who learn α.
double sign_grad_dsq(const float* x, const float* dy, double alpha, float* dx, int64_t count);

struct DsqConstants {
  float exponent;          // −2k·log₂e
  float slope;             // of f at 0
  float tanh_scale, bend;  // ∂f/∂α = tanh(k·x) · tanh_scale + x · sech²(k·x) · bend
};

struct ResteConstants {
  float t, m, inner, outer_scale;  // inner = m^p, outer_scale = 1/o
  float p_high, p_low;             // p = p_high + p_low; p_high has 12 significant bits, so p_high · integer exponent is exact
};

struct ElementwiseRow {
  void (*binary)(BinaryOp op, const float* a, Operand a_kind, const float* b, Operand b_kind, float* y, int64_t rows, int64_t length);
  void (*unary)(UnaryOp op, const float* x, float alpha, float* y, int64_t count);
  void (*clip)(const float* x, float low, float high, float* y, int64_t count);
  void (*clip_grad)(const float* y, const float* dy, float low, float high, float* dx, int64_t count);
  void (*ste)(const float* x, const float* dy, float clip, float* dx, int64_t count);
  double (*dsq)(const float* x, const float* dy, const DsqConstants& constants, float* dx, int64_t count);
  void (*reste)(const float* x, const float* dy, const ResteConstants& constants, float* dx, int64_t count);
};
BNN_DECLARE_ROWS(ElementwiseRow, elementwise_row);
const ElementwiseRow& elementwise_row();

// The choice among the gradients above and that of slope_table.h, for kernels that apply them to what they have just computed.
struct SignGradient {
  enum class Kind { kSte, kReste, kTable };
  Kind kind;
  float clip;
  ResteConstants reste;
  SlopeTable table;

  // dx = dy · s(x); dx may be dy.
  void apply(const float* x, const float* dy, float* dx, int64_t count) const;
};
SignGradient ste_gradient(float clip);
// ReSTE (arXiv:2308.06689): with a = |x|, o ≥ 1 and p = (1 − o)/o, s = m^p for a ≤ m, a^p / o for m < a ≤ t, 0 beyond; s = 1 up to t
// when o = 1. Relative error of the power below 2e-6.
SignGradient reste_gradient(double o, float t, float m);
// The table's pieces stay the caller's.
SignGradient table_gradient(const SlopeTable& table);
void sign_grad(const SignGradient& gradient, const float* x, const float* dy, float* dx, int64_t count);

}  // namespace bnn
