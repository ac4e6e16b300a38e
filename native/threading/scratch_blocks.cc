// The memory of scratch_bytes (threading/thread_pool.h). A thread asks only for its own.
#include <new>

#include "threading/thread_pool.h"

namespace bnn {
namespace {

struct Block {
  void* data = nullptr;
  size_t bytes = 0;
};
Block blocks[kMaxThreads][kSlots];

void release(Block& block) {
  ::operator delete (block.data, std::align_val_t{64});
  block = Block{};
}

}  // namespace

void* scratch_bytes(int thread, Slot slot, size_t bytes) {
  Block& block = blocks[thread][static_cast<int>(slot)];
  if (block.bytes < bytes || block.data == nullptr) {
    release(block);
    const size_t rounded = (bytes + 4096 + 63) / 64 * 64;
    block = {::operator new (rounded, std::align_val_t{64}), rounded};
  }
  return block.data;
}

void release_scratch() {
  for (auto& slots : blocks) {
    for (Block& block : slots) release(block);
  }
}

size_t scratch_total_bytes() {
  size_t total = 0;
  for (const auto& slots : blocks) {
    for (const Block& block : slots) total += block.bytes;
  }
  return total;
}

}  // namespace bnn
