#include "simd/isa.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace bnn {

const char* isa_name(Isa isa) {
  static const char* const names[kIsaCount] = {"scalar", "neon", "avx2", "avx512"};
  return names[static_cast<int>(isa)];
}

CpuFlags cpu_flags() {
  CpuFlags flags;
#if defined(__x86_64__)
  flags.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  flags.avx512 = flags.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  flags.avx512vpopcntdq = flags.avx512 && __builtin_cpu_supports("avx512vpopcntdq");
#elif defined(__aarch64__)
  flags.neon = true;
#endif
  return flags;
}

bool isa_available(Isa isa, const CpuFlags& flags) {
  switch (isa) {
    case Isa::kScalar:
      return true;
    case Isa::kNeon:
      return flags.neon;
    case Isa::kAvx2:
      return flags.avx2;
    case Isa::kAvx512:
      return flags.avx512;
  }
  return false;
}

bool choose_isa(const CpuFlags& flags, const char* forced, Isa* chosen) {
  *chosen = Isa::kScalar;
  for (int i = 0; i < kIsaCount; i++) {
    if (isa_available(static_cast<Isa>(i), flags)) *chosen = static_cast<Isa>(i);
  }
  if (forced == nullptr || forced[0] == 0) return true;
  for (int i = 0; i < kIsaCount; i++) {
    const Isa isa = static_cast<Isa>(i);
    const bool isNamed = std::strcmp(forced, isa_name(isa)) == 0 ||
                         (isa == Isa::kAvx512 && std::strcmp(forced, "avx512vpopcntdq") == 0);
    if (!isNamed || !isa_available(isa, flags)) continue;
    *chosen = isa;
    return true;
  }
  return false;
}

static Isa choose() {
  Isa chosen;
  choose_isa(cpu_flags(), std::getenv("BNN_KERNEL"), &chosen);
  return chosen;
}

static std::atomic<int>& active() {
  static std::atomic<int> value{static_cast<int>(choose())};
  return value;
}

Isa active_isa() { return static_cast<Isa>(active().load(std::memory_order_relaxed)); }

bool set_active_isa(Isa isa) {
  if (!isa_available(isa)) return false;
  active().store(static_cast<int>(isa), std::memory_order_relaxed);
  return true;
}

}  // namespace bnn
