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

// Where a processor says that it can run a row.
[[maybe_unused]] bool has_avx512vpopcntdq(const CpuFlags& flags) { return flags.avx512vpopcntdq; }
[[maybe_unused]] bool has_avx2(const CpuFlags& flags) { return flags.avx2; }
[[maybe_unused]] bool has_neon(const CpuFlags& flags) { return flags.neon; }
bool has_scalar(const CpuFlags&) { return true; }

struct Entry {
  const BinaryTileRow* tile;
  const BinarizeRow* binarize;
  bool (*available)(const CpuFlags& flags);
};

#define BNN_ENTRY(name) {&binary_tile_row_##name, &binarize_row_##name, has_##name},
const Entry kEntries[] = {BNN_BINARY_ROWS(BNN_ENTRY)};
#undef BNN_ENTRY
constexpr int kEntryCount = sizeof kEntries / sizeof kEntries[0];

const Entry* choose(const CpuFlags& flags, const char* forced) {
  if (forced == nullptr) forced = "";
  for (const Entry& entry : kEntries) {
    if (entry.available(flags) && std::strncmp(entry.tile->name, forced, std::strlen(forced)) == 0) return &entry;
  }
  return nullptr;
}

// Kernels are there for callers that did not ask for kernel_problem() too.
const Entry* choose_or_best(const char* forced) {
  const Entry* chosen = choose(cpu_flags(), forced);
  return chosen != nullptr ? chosen : choose(cpu_flags(), nullptr);
}

const char* forced_row() { return std::getenv("BNN_KERNEL"); }

std::atomic<const Entry*>& active() {
  static std::atomic<const Entry*> entry{choose_or_best(forced_row())};
  return entry;
}

const Entry& current() { return *active().load(std::memory_order_relaxed); }

}  // namespace

const BinaryTileRow& binary_tile_row() { return *current().tile; }
const BinarizeRow& binarize_row() { return *current().binarize; }

const BinaryTileRow* const* binary_tile_rows() {
  static const BinaryTileRow* rows[kEntryCount + 1] = {};
  int count = 0;
  for (const Entry& entry : kEntries) {
    if (entry.available(cpu_flags())) rows[count++] = entry.tile;
  }
  return rows;
}

void force_binary_row(const char* name) { active().store(choose_or_best(name), std::memory_order_relaxed); }

const char* choose_binary_row(const CpuFlags& flags, const char* forced) {
  const Entry* entry = choose(flags, forced);
  return entry != nullptr ? entry->tile->name : nullptr;
}

std::string kernel_problem() {
  const char* forced = forced_row();
  if (choose(cpu_flags(), forced) != nullptr) return "";
  std::string names;
  for (const Entry& entry : kEntries) {
    if (entry.available(cpu_flags())) names += (names.empty() ? "" : ", ") + std::string(entry.tile->name);
  }
  return "BNN_KERNEL is \"" + std::string(forced) + "\", but the kernels that this processor can run are " + names;
}

}  // namespace bnn
