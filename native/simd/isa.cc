#include "simd/isa.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace bnn {

const char* isa_name(Isa isa) {
  static const char* const names[kIsaCount] = {"scalar", "neon", "avx2", "avx512"};
  return names[static_cast<int>(isa)];
}

bool isa_available(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return true;
#if defined(__x86_64__)
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#elif defined(__aarch64__)
    case Isa::kNeon:
      return true;
#endif
    default:
      return false;
  }
}

static Isa choose() {
  const char* forced = std::getenv("BNN_KERNEL");
  Isa best = Isa::kScalar;
  for (int i = 0; i < kIsaCount; i++) {
    const Isa isa = static_cast<Isa>(i);
    if (!isa_available(isa)) continue;
    if (forced != nullptr && std::strcmp(forced, isa_name(isa)) == 0) return isa;
    best = isa;
  }
  return best;
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
