// One vector type for every instruction set, on the vector extensions of GCC and Clang.
//
// The build compiles each `.isa.cc`, which includes this, once for every instruction set, with BNN_ISA (a namespace) and
// BNN_VECTOR_FLOATS (4, 8 or 16) defined. Everything is static and inside bnn::BNN_ISA, and no standard-library code is instantiated: an inline
// function compiled here with AVX flags must never be merged by the linker into code that runs on any processor.
// `a * b + c` becomes one fused instruction where there is one (-ffp-contract=fast).
#pragma once

#include <stddef.h>
#include <stdint.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace bnn {
namespace BNN_ISA {

constexpr int W = BNN_VECTOR_FLOATS;
// Vector registers: what the register tiles of the kernels are sized by.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif

typedef float V __attribute__((vector_size(BNN_VECTOR_FLOATS * 4)));
typedef int32_t M __attribute__((vector_size(BNN_VECTOR_FLOATS * 4)));
typedef float VUnaligned __attribute__((vector_size(BNN_VECTOR_FLOATS * 4), aligned(4), may_alias));

// The same address. In WebAssembly it stays in a variable of its own, so that what is loaded near it has constant offsets, which cost nothing there;
// otherwise the compiler adds up each address.
template <typename T>
static inline T* pinned(T* p) {
#if defined(__wasm__)
  asm("" : "+r"(p));
#endif
  return p;
}

static inline V load(const float* p) { return *reinterpret_cast<const VUnaligned*>(p); }
static inline void store(float* p, V v) { *reinterpret_cast<VUnaligned*>(p) = v; }

static inline V splat(float s) {
#if BNN_VECTOR_FLOATS == 16
  return V{s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s};
#elif BNN_VECTOR_FLOATS == 8
  return V{s, s, s, s, s, s, s, s};
#else
  return V{s, s, s, s};
#endif
}

// The first n (0 < n <= W) elements; the others are 0 and not read.
static inline V load_n(const float* p, int n) {
#if defined(__AVX512F__)
  return reinterpret_cast<V>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p));
#else
  V v = splat(0.0f);
  for (int i = 0; i < n; i++) v[i] = p[i];
  return v;
#endif
}

static inline void store_n(float* p, V v, int n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), reinterpret_cast<__m512>(v));
#else
  for (int i = 0; i < n; i++) p[i] = v[i];
#endif
}

static inline V zero() { return splat(0.0f); }
static inline V select(M mask, V yes, V no) { return mask ? yes : no; }

// A value that is not fused with what it is added to. In a·b + c·d a compiler may fuse either product: this says which it is not, so that
// all of them give the same bits.
static inline V rounded(V x) {
#if defined(__x86_64__)
  __asm__("" : "+v"(x));
#elif defined(__aarch64__)
  __asm__("" : "+w"(x));
#endif
  return x;
}

// max(x, 0); NaN stays NaN.
static inline V relu(V x) { return select(x <= zero(), zero(), x); }

static inline V square_root(V x) {
#if defined(__AVX512F__)
  return reinterpret_cast<V>(_mm512_maskz_sqrt_ps(0xffff, reinterpret_cast<__m512>(x)));
#else
  for (int i = 0; i < W; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

static inline float horizontal_sum(V x) {
  float sum = 0.0f;
  for (int i = 0; i < W; i++) sum += x[i];
  return sum;
}

}  // namespace BNN_ISA
}  // namespace bnn
