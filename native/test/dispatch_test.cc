// Which row of kernels runs on which processor: the choice is a function of the processor's flags and of BNN_KERNEL.
#include <cstdio>
#include <cstring>

#include "kernels/binary_conv/binary_conv.h"
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
  expect(bnn::choose_binary_row(c.flags, c.forced), c.row, c.label);
  bnn::Isa chosen;
  const bool accepted = bnn::choose_isa(c.flags, c.forced, &chosen);
  expect(accepted ? bnn::isa_name(chosen) : nullptr, c.isa, c.label);
}

bnn::CpuFlags flags(bool neon, bool avx2, bool avx512, bool avx512vpopcntdq) {
  bnn::CpuFlags result;
  result.neon = neon;
  result.avx2 = avx2;
  result.avx512 = avx512;
  result.avx512vpopcntdq = avx512vpopcntdq;
  return result;
}

}  // namespace

int main() {
  const bnn::CpuFlags none;
#if defined(__x86_64__)
  const bnn::CpuFlags haswell = flags(false, true, false, false), skylake = flags(false, true, true, false);
  const bnn::CpuFlags iceLake = flags(false, true, true, true);
  const Case cases[] = {
      {"nothing in particular", none, nullptr, "scalar", "scalar"},
      {"AVX2", haswell, nullptr, "avx2", "avx2"},
      {"AVX-512 without VPOPCNTDQ", skylake, nullptr, "avx2", "avx512"},
      {"AVX-512 with VPOPCNTDQ", iceLake, nullptr, "avx512vpopcntdq", "avx512"},
      {"an empty name", iceLake, "", "avx512vpopcntdq", "avx512"},
      {"avx2 on more", iceLake, "avx2", "avx2", "avx2"},
      {"scalar on more", iceLake, "scalar", "scalar", "scalar"},
      {"the beginning of a name", iceLake, "avx512", "avx512vpopcntdq", "avx512"},
      {"the whole name", iceLake, "avx512vpopcntdq", "avx512vpopcntdq", "avx512"},
      {"avx512 without VPOPCNTDQ", skylake, "avx512", nullptr, "avx512"},
      {"avx512 on AVX2", haswell, "avx512", nullptr, nullptr},
      {"neon on x86", iceLake, "neon", nullptr, nullptr},
      {"an unknown name", iceLake, "sse2", nullptr, nullptr},
      {"more than a name", iceLake, "avx22", nullptr, nullptr},
  };
#elif defined(__aarch64__)
  const bnn::CpuFlags arm = flags(true, false, false, false);
  const Case cases[] = {
      {"NEON", arm, nullptr, "neon", "neon"},
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
