#include "memory/scratch_pool.h"

#include <new>
#include <vector>

#include "memory/spin_lock.h"

namespace bnn {
namespace {

struct Block {
  void* data;
  size_t capacity;
};

class Pool {
 public:
  ~Pool() {
    for (const Block& block : free_) release(block);
  }

  Block take(size_t bytes) {
    {
      const Locked locked(lock_);
      // The smallest one that fits, so that a large block stays free for who needs it.
      size_t best = free_.size();
      for (size_t i = 0; i < free_.size(); i++) {
        if (free_[i].capacity >= bytes && (best == free_.size() || free_[i].capacity < free_[best].capacity)) best = i;
      }
      if (best < free_.size()) {
        const Block block = free_[best];
        free_[best] = free_.back();
        free_.pop_back();
        return block;
      }
      // None fits: one of the small ones makes way, or the pool would keep blocks of every size it ever saw.
      if (!free_.empty()) {
        release(free_.back());
        free_.pop_back();
      }
      free_.reserve(free_.capacity() < 64 ? 64 : free_.size() + 1);
    }
    const size_t capacity = (bytes + 4095) / 4096 * 4096;
    return {::operator new (capacity, std::align_val_t{64}), capacity};
  }

  void give(Block block) noexcept {
    const Locked locked(lock_);
    if (free_.size() < free_.capacity()) {
      free_.push_back(block);
    } else {
      release(block);
    }
  }

 private:
  static void release(const Block& block) { ::operator delete (block.data, std::align_val_t{64}); }

  SpinLock lock_;
  std::vector<Block> free_;
};

Pool& pool() {
  static Pool instance;
  return instance;
}

}  // namespace

Scratch::Scratch(size_t bytes) {
  const Block block = pool().take(bytes);
  data_ = block.data;
  capacity_ = block.capacity;
}

Scratch::~Scratch() { pool().give({data_, capacity_}); }

}  // namespace bnn
