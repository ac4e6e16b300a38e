// Which row of kernels runs on which processor: the choice is a function of the processor's flags and of BNN_KERNEL.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "kernels/binary_conv/binary_conv.h"
#include "kernels/peak/peak.h"
#include "simd/isa.h"
#include "test/check.h"

namespace {

void expect(const char* got, const char* want, const char* label) {
  if (got == want || (got != nullptr && want != nullptr && std::strcmp(got, want) == 0)) return;
  std::printf("FAIL %s: %s, expected %s\n", label, got != nullptr ? got : "nothing", want != nullptr ? want : "nothing");
  bnn_test::failures()++;
}

struct Case {
  const char* label;
  bnn::CpuFlags flags;
  const char* forced;
  const char* row;  // of binary kernels; null: refused
  const char* isa;  // of the other kernels; null: refused
};

void check(const Case& c) {
  bnn::Isa chosen;
  const bool accepted = bnn::choose_isa(c.flags, c.forced, &chosen);
  expect(accepted ? bnn::isa_name(chosen) : nullptr, c.isa, c.label);
  expect(accepted ? bnn::binary_tile_row(bnn::needs_of(chosen)).name : nullptr, c.row, c.label);
}

// A kernel with an implementation for a toy instruction set that extends AVX2: a row of its table, in the order of preference.
void check_toy() {
  constexpr bnn::CpuFlags kToy = 1u << 31;
  static constexpr const char* toy = "toy";
  static constexpr const char* avx2 = "avx2";
  static constexpr const char* scalar = "scalar";
  static constexpr bnn::KernelRow<const char*> rows[] = {{bnn::kAvx2 | kToy, &toy}, {bnn::kAvx2, &avx2}, {0, &scalar}};
  expect(bnn::choose_row(rows, bnn::kAvx2 | bnn::kAvx512 | kToy), "toy", "the first that fits");
  expect(bnn::choose_row(rows, bnn::kAvx2 | bnn::kAvx512), "avx2", "without the toy");
  expect(bnn::choose_row(rows, kToy), "scalar", "half of what the toy needs");
  expect(bnn::choose_row(rows, 0), "scalar", "nothing");
}

// Every row needs what it names, and a better one never comes before a worse one that it includes.
void check_table() {
  for (int i = 0; i < bnn::kIsaCount; i++) {
    for (int j = 0; j < i; j++) {
      const bool isOrdered = !bnn::fits(bnn::kIsas[i].needs, bnn::kIsas[j].needs);
      expect(isOrdered ? "ordered" : "not", "ordered", bnn::kIsas[i].name);
    }
  }
}

// Rates that are told apart by what a round counts for, so that the clock of a busy machine cannot decide.
void check_rates() {
  const bnn::PeakRow& row = bnn::active_peak_row();
  const bnn::PeakRow tenfold = {10 * row.flops_per_round, row.run}, tenth = {std::max<int64_t>(1, row.flops_per_round / 10), row.run};
  expect(bnn::is_clearly_faster(tenfold, row) ? "faster" : "not", "faster", "ten times the work in the same time");
  expect(bnn::is_clearly_faster(tenth, row) ? "faster" : "not", "not", "a tenth of the work in the same time");
}

}  // namespace

int main() {
  constexpr bnn::CpuFlags none = 0;
  check_toy();
  check_table();
  check_rates();
#if defined(__x86_64__)
  constexpr bnn::CpuFlags haswell = bnn::kAvx2, skylake = bnn::kAvx2 | bnn::kAvx512, iceLake = skylake | bnn::kAvx512Vpopcntdq,
                          zen4 = iceLake | bnn::kAvx512Bf16;
  const Case cases[] = {
      {"nothing in particular", none, nullptr, "scalar", "scalar"},
      {"AVX2", haswell, nullptr, "avx2", "avx2"},
      {"AVX-512 without VPOPCNTDQ", skylake, nullptr, "avx2", "avx512"},
      {"AVX-512 with VPOPCNTDQ", iceLake, nullptr, "avx512vpopcntdq", "avx512vpopcntdq"},
      {"bfloat16 too", zen4, nullptr, "avx512vpopcntdq", "avx512bf16"},
      {"bfloat16 without VPOPCNTDQ", skylake | bnn::kAvx512Bf16, nullptr, "avx2", "avx512"},
      {"an empty name", iceLake, "", "avx512vpopcntdq", "avx512vpopcntdq"},
      {"avx2 on more", iceLake, "avx2", "avx2", "avx2"},
      {"scalar on more", iceLake, "scalar", "scalar", "scalar"},
      {"avx512 on more", iceLake, "avx512", "avx2", "avx512"},
      {"the beginning of a name", iceLake, "avx512v", nullptr, nullptr},
      {"the whole name", iceLake, "avx512vpopcntdq", "avx512vpopcntdq", "avx512vpopcntdq"},
      {"avx512 without VPOPCNTDQ", skylake, "avx512", "avx2", "avx512"},
      {"avx512 on AVX2", haswell, "avx512", nullptr, nullptr},
      {"neon on x86", iceLake, "neon", nullptr, nullptr},
      {"an unknown name", iceLake, "sse2", nullptr, nullptr},
      {"more than a name", iceLake, "avx22", nullptr, nullptr},
  };
#elif defined(__aarch64__)
  constexpr bnn::CpuFlags arm = bnn::kNeon;
  const Case cases[] = {
      {"NEON", arm, nullptr, "neon", "neon"},
      {"NEON with bfloat16", arm | bnn::kNeonBf16, nullptr, "neon", "neonbf16"},
      {"neon on more", arm | bnn::kNeonBf16, "neon", "neon", "neon"},
      {"neonbf16 on NEON", arm, "neonbf16", nullptr, nullptr},
      {"scalar on more", arm, "scalar", "scalar", "scalar"},
      {"avx2 on ARM", arm, "avx2", nullptr, nullptr},
  };
#else
  const Case cases[] = {{"nothing in particular", none, nullptr, "scalar", "scalar"}};
#endif
  for (const Case& c : cases) check(c);
  const int count = sizeof cases / sizeof cases[0];
  std::printf("dispatch: %d processors and names, %d failures\n", count, bnn_test::failures());
  return bnn_test::failures() == 0 ? 0 : 1;
}
