#include <atomic>
#include <cstdlib>
#include <cstring>

#include "kernels/binarize/dispatch.h"
#include "kernels/binary_conv/binary_conv.h"
#include "simd/isa.h"

namespace bnn {

// In order of preference; the last one runs anywhere.
#if defined(__x86_64__)
#define BNN_BINARY_ROWS(X) X(avx512vpopcntdq) X(avx2) X(scalar)
#elif defined(__aarch64__)
#define BNN_BINARY_ROWS(X) X(neon) X(scalar)
#else
#define BNN_BINARY_ROWS(X) X(scalar)
#endif

#define BNN_DECLARE(name)                          \
  extern const BinaryTileRow binary_tile_row_##name; \
  extern const BinarizeRow binarize_row_##name;
BNN_BINARY_ROWS(BNN_DECLARE)
#undef BNN_DECLARE

namespace {

bool has_avx512vpopcntdq() {
#if defined(__x86_64__)
  return isa_available(Isa::kAvx512) && __builtin_cpu_supports("avx512vpopcntdq");
#else
  return false;
#endif
}
bool has_avx2() { return isa_available(Isa::kAvx2); }
bool has_neon() { return isa_available(Isa::kNeon); }
bool has_scalar() { return true; }

struct Entry {
  const BinaryTileRow* tile;
  const BinarizeRow* binarize;
  bool (*available)();
};

#define BNN_ENTRY(name) {&binary_tile_row_##name, &binarize_row_##name, has_##name},
const Entry kEntries[] = {BNN_BINARY_ROWS(BNN_ENTRY)};
#undef BNN_ENTRY
constexpr int kEntryCount = sizeof kEntries / sizeof kEntries[0];

const Entry* choose(const char* forced) {
  if (forced != nullptr) {
    for (const Entry& entry : kEntries) {
      if (std::strncmp(entry.tile->name, forced, std::strlen(forced)) == 0 && forced[0] != 0 && entry.available()) return &entry;
    }
  }
  for (const Entry& entry : kEntries) {
    if (entry.available()) return &entry;
  }
  return &kEntries[kEntryCount - 1];
}

std::atomic<const Entry*>& active() {
  static std::atomic<const Entry*> entry{choose(std::getenv("BNN_KERNEL"))};
  return entry;
}

const Entry& current() { return *active().load(std::memory_order_relaxed); }

// The unused ones would be a warning on other processors.
[[maybe_unused]] bool (*const kChecks[])() = {has_avx512vpopcntdq, has_avx2, has_neon, has_scalar};

}  // namespace

const BinaryTileRow& binary_tile_row() { return *current().tile; }
const BinarizeRow& binarize_row() { return *current().binarize; }

const BinaryTileRow* const* binary_tile_rows() {
  static const BinaryTileRow* rows[kEntryCount + 1] = {};
  int count = 0;
  for (const Entry& entry : kEntries) {
    if (entry.available()) rows[count++] = entry.tile;
  }
  return rows;
}

void force_binary_row(const char* name) { active().store(choose(name), std::memory_order_relaxed); }

}  // namespace bnn
