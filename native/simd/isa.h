// The instruction sets that kernels are compiled for, and which of them is in use: one table for all kernels.
//
// A row of the table is a name and a mask of what the processor must have. The best row that fits is in use, or the one that BNN_KERNEL
// names; a kernel then runs its best implementation that needs no more than that row. Another instruction set is a row here, a line in
// cpu_flags, a row in tools/native-plan.mjs for its compiler flags, and the kernels that are written for it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bnn {

// What a processor can run, as far as the kernels of this build ask.
enum CpuFlag : uint32_t {
  kNeon = 1 << 0,
  kAvx2 = 1 << 1,             // and FMA, F16C, POPCNT
  kAvx512 = 1 << 2,           // F, BW, DQ and VL
  kAvx512Vpopcntdq = 1 << 3,  // and VNNI
  kPopcnt = 1 << 4,
  kSimd128 = 1 << 5,  // of WebAssembly
  kAvx512Bf16 = 1 << 6,
  kNeonBf16 = 1 << 7,  // FEAT_BF16
};
using CpuFlags = uint32_t;

// Of this processor; and all that there are on this architecture.
CpuFlags cpu_flags();
#if defined(__x86_64__)
inline constexpr CpuFlags kArchitectureFlags = kPopcnt | kAvx2 | kAvx512 | kAvx512Vpopcntdq | kAvx512Bf16;
#elif defined(__aarch64__)
inline constexpr CpuFlags kArchitectureFlags = kNeon | kNeonBf16;
#elif defined(__wasm_simd128__)
inline constexpr CpuFlags kArchitectureFlags = kSimd128;
#else
inline constexpr CpuFlags kArchitectureFlags = 0;
#endif

// X(name, what it needs), worst first.
#define BNN_ISAS(X)                                      \
  X(scalar, 0)                                           \
  X(neon, kNeon)                                         \
  X(neonbf16, kNeon | kNeonBf16)                         \
  X(wasm, kSimd128)                                      \
  X(avx2, kAvx2)                                         \
  X(avx512, kAvx2 | kAvx512)                             \
  X(avx512vpopcntdq, kAvx2 | kAvx512 | kAvx512Vpopcntdq) \
  X(avx512bf16, kAvx2 | kAvx512 | kAvx512Vpopcntdq | kAvx512Bf16)

#define BNN_NAME(name, needs) name,
enum class Isa { BNN_ISAS(BNN_NAME) };
#undef BNN_NAME

struct IsaRow {
  const char* name;
  CpuFlags needs;
};
#define BNN_ROW(name, needs) {#name, needs},
inline constexpr IsaRow kIsas[] = {BNN_ISAS(BNN_ROW)};
#undef BNN_ROW
inline constexpr int kIsaCount = sizeof kIsas / sizeof kIsas[0];

constexpr CpuFlags needs_of(Isa isa) { return kIsas[static_cast<int>(isa)].needs; }
constexpr const char* isa_name(Isa isa) { return kIsas[static_cast<int>(isa)].name; }
constexpr bool fits(CpuFlags needs, CpuFlags flags) { return (needs & ~flags) == 0; }

// The best instruction set, or the one that `forced` (null or empty: none) names. False when that is no row that fits; `chosen` is the
// best one then.
bool choose_isa(CpuFlags flags, const char* forced, Isa* chosen);

// The choice for this processor and the environment variable BNN_KERNEL. Read by every dispatch.
Isa active_isa();

// Makes the instruction set of this name the active one; false (and no change) when it is not available. For tests and benchmarks.
bool set_active_isa(const char* name);

// An implementation of a kernel.
template <typename Row>
struct KernelRow {
  CpuFlags needs;
  const Row* row;
};

// The first of a table that needs no more than `flags`: tables have the best row first, and a last one that needs nothing.
template <typename Row, size_t kCount>
const Row& choose_row(const KernelRow<Row> (&rows)[kCount], CpuFlags flags) {
  size_t i = 0;
  while (i + 1 < kCount && !fits(rows[i].needs, flags)) i++;
  return *rows[i].row;
}

template <typename Row, size_t kCount>
const Row& active_row(const KernelRow<Row> (&rows)[kCount]) {
  return choose_row(rows, needs_of(active_isa()));
}

}  // namespace bnn

// X(instruction set, Row, name), best first: those of this architecture that every `.isa.cc` is compiled for; and those with tiles of bits.
#if defined(__x86_64__)
#define BNN_VECTOR_ISAS(X, Row, name) X(avx512, Row, name) X(avx2, Row, name) X(scalar, Row, name)
#define BNN_BINARY_ISAS(X, Row, name) X(avx512vpopcntdq, Row, name) X(avx2, Row, name) X(scalar, Row, name)
#elif defined(__aarch64__)
#define BNN_VECTOR_ISAS(X, Row, name) X(neon, Row, name) X(scalar, Row, name)
#define BNN_BINARY_ISAS(X, Row, name) X(neon, Row, name) X(scalar, Row, name)
#elif defined(__wasm_simd128__)
#define BNN_VECTOR_ISAS(X, Row, name) X(scalar, Row, name)
#define BNN_BINARY_ISAS(X, Row, name) X(wasm, Row, name)
#else
#define BNN_VECTOR_ISAS(X, Row, name) X(scalar, Row, name)
#define BNN_BINARY_ISAS(X, Row, name) X(scalar, Row, name)
#endif

// The table of a kernel, for active_row: BNN_ROWS(name) after BNN_DECLARE_ROWS(Row, name).
#define BNN_DECLARE_ROW(isa, Row, name) extern const Row name##_##isa;
#define BNN_KERNEL_ROW(isa, Row, name) {::bnn::needs_of(::bnn::Isa::isa), &name##_##isa},
#define BNN_DECLARE_ROWS(Row, name) BNN_VECTOR_ISAS(BNN_DECLARE_ROW, Row, name) static_assert(true, "")
#define BNN_ROWS(name) \
  { BNN_VECTOR_ISAS(BNN_KERNEL_ROW, , name) }

// At the end of an `.isa.cc`: BNN_DEFINE_ROW(Row, name) = {…};
#define BNN_JOIN(name, isa) name##_##isa
#define BNN_JOIN_ISA(name, isa) BNN_JOIN(name, isa)
#define BNN_QUOTE(isa) #isa
#define BNN_QUOTE_ISA(isa) BNN_QUOTE(isa)
#define BNN_ISA_NAME BNN_QUOTE_ISA(BNN_ISA)
#define BNN_DEFINE_ROW(Row, name)               \
  extern const Row BNN_JOIN_ISA(name, BNN_ISA); \
  const Row BNN_JOIN_ISA(name, BNN_ISA)
