// The instruction sets that kernels are compiled for, and which of them is in use.
#pragma once

namespace bnn {

enum class Isa { kScalar = 0, kNeon = 1, kAvx2 = 2, kAvx512 = 3 };
constexpr int kIsaCount = 4;

const char* isa_name(Isa isa);

// What a processor can run, as far as the kernels of this build ask.
struct CpuFlags {
  bool neon = false;
  bool avx2 = false;             // with FMA
  bool avx512 = false;           // F, BW, DQ and VL, with the above
  bool avx512vpopcntdq = false;  // with the above
};

// Of this processor.
CpuFlags cpu_flags();

bool isa_available(Isa isa, const CpuFlags& flags);
inline bool isa_available(Isa isa) { return isa_available(isa, cpu_flags()); }

// The best instruction set, or the one that `forced` (null or empty: none) names: "avx2", and for the binary kernels' sake
// "avx512vpopcntdq" too. False when that is none of these or not available; `chosen` is the best one then.
bool choose_isa(const CpuFlags& flags, const char* forced, Isa* chosen);

// The choice for this processor and the environment variable BNN_KERNEL. Read by every dispatch.
Isa active_isa();

// Forces an instruction set; false (and no change) when it is not available. For tests and benchmarks.
bool set_active_isa(Isa isa);

// Picks this instruction set's row of a kernel table indexed by Isa; tables hold null where a row is not compiled.
template <typename Row>
const Row& active_row(const Row* const (&table)[kIsaCount]) {
  return *table[static_cast<int>(active_isa())];
}

}  // namespace bnn

// Builds a kernel table: BNN_ROWS(name) needs `extern const Row name_scalar, name_avx2 ...` in scope.
#if defined(__x86_64__)
#define BNN_ROWS(name) {&name##_scalar, nullptr, &name##_avx2, &name##_avx512}
#define BNN_DECLARE_ROWS(Row, name) extern const Row name##_scalar, name##_avx2, name##_avx512
#elif defined(__aarch64__)
#define BNN_ROWS(name) {&name##_scalar, &name##_neon, nullptr, nullptr}
#define BNN_DECLARE_ROWS(Row, name) extern const Row name##_scalar, name##_neon
#else
#define BNN_ROWS(name) {&name##_scalar, nullptr, nullptr, nullptr}
#define BNN_DECLARE_ROWS(Row, name) extern const Row name##_scalar
#endif
