#include "mpi/schedule.h"

#include <algorithm>

namespace bnn_mpi {
namespace {

// Below it, rounds cost more than bytes.
constexpr int64_t kSmallBytes = 32 * 1024;
constexpr int64_t kSmallPiece = 16 * 1024;

template <typename T>
struct Piece {
  T* data;
  int64_t count;
};

template <typename T>
class SumPlan {
 public:
  SumPlan(Operation& operation, T* data, int64_t count, int rank, int size)
      : operation_(operation), data_(data), count_(count), rank_(rank), size_(size) {}

  void make() {
    if (size_ == 1 || count_ == 0) return;
    while (powers_ * 2 <= size_) powers_ *= 2;
    surplus_ = size_ - powers_;
    const int64_t bytes = count_ * static_cast<int64_t>(sizeof(T));
    if (surplus_ > 0 && bytes / size_ >= kSmallPiece) {
      ring();
      return;
    }
    const bool is_folded = rank_ < 2 * surplus_;
    if (is_folded && rank_ % 2 == 0) {
      exchange(rank_ + 1, whole(), -1, {nullptr, 0}, false);
      exchange(-1, {nullptr, 0}, rank_ + 1, whole(), false);
      return;
    }
    if (is_folded) exchange(-1, {nullptr, 0}, rank_ - 1, whole(), true);
    if (bytes <= kSmallBytes || powers_ <= 2) {
      doubling();
    } else {
      halving();
    }
    if (is_folded) exchange(rank_ - 1, whole(), -1, {nullptr, 0}, false);
  }

 private:
  Piece<T> whole() const { return {data_, count_}; }
  Piece<T> piece(int64_t begin, int64_t end) const { return {data_ + begin, end - begin}; }
  // Among those that take part in the rounds after the surplus is folded.
  int place() const { return rank_ < 2 * surplus_ ? rank_ / 2 : rank_ - surplus_; }
  int at_place(int place) const { return place < surplus_ ? 2 * place + 1 : place + surplus_; }

  // Sends one piece and receives another, which is added to what is there, or takes its place.
  void exchange(int to, Piece<T> out, int from, Piece<T> in, bool adds) {
    Round round;
    if (to >= 0) {
      round.send_to = to;
      round.send = reinterpret_cast<const char*>(out.data);
      round.send_bytes = static_cast<size_t>(out.count) * sizeof(T);
    }
    if (from >= 0) {
      round.receive_from = from;
      round.receive_bytes = static_cast<size_t>(in.count) * sizeof(T);
      if (adds) {
        if (operation_.scratch.size() < round.receive_bytes) operation_.scratch.resize(round.receive_bytes);
        // Where the scratch lies is known when all rounds are planned.
        Operation* operation = &operation_;
        round.then = [operation, in] {
          const T* other = reinterpret_cast<const T*>(operation->scratch.data());
          for (int64_t i = 0; i < in.count; i++) in.data[i] += other[i];
        };
      } else {
        round.receive = reinterpret_cast<char*>(in.data);
      }
    }
    operation_.rounds.push_back(std::move(round));
  }

  void doubling() {
    for (int mask = 1; mask < powers_; mask *= 2) {
      const int partner = at_place(place() ^ mask);
      exchange(partner, whole(), partner, whole(), true);
    }
  }

  void halving() {
    struct Step {
      int partner;
      Piece<T> kept, given;
    };
    std::vector<Step> steps;
    int64_t begin = 0, end = count_;
    for (int mask = 1; mask < powers_; mask *= 2) {
      const int64_t middle = begin + (end - begin) / 2;
      const bool keeps_low = (place() & mask) == 0;
      const Piece<T> low = piece(begin, middle), high = piece(middle, end);
      steps.push_back({at_place(place() ^ mask), keeps_low ? low : high, keeps_low ? high : low});
      (keeps_low ? end : begin) = middle;
      exchange(steps.back().partner, steps.back().given, steps.back().partner, steps.back().kept, true);
    }
    for (auto step = steps.rbegin(); step != steps.rend(); ++step)
      exchange(step->partner, step->kept, step->partner, step->given, false);
  }

  void ring() {
    const int next = (rank_ + 1) % size_, previous = (rank_ + size_ - 1) % size_;
    const auto chunk = [&](int index) {
      const int64_t i = ((index % size_) + size_) % size_;
      return piece(count_ * i / size_, count_ * (i + 1) / size_);
    };
    for (int k = 0; k < size_ - 1; k++) exchange(next, chunk(rank_ - k), previous, chunk(rank_ - k - 1), true);
    for (int k = 0; k < size_ - 1; k++) exchange(next, chunk(rank_ + 1 - k), previous, chunk(rank_ - k), false);
  }

  Operation& operation_;
  T* data_;
  int64_t count_;
  int rank_, size_;
  int powers_ = 1, surplus_ = 0;
};

}  // namespace

template <typename T>
void plan_sum(Operation& operation, T* data, int64_t count, int rank, int size) {
  SumPlan<T>(operation, data, count, rank, size).make();
}
template void plan_sum<float>(Operation&, float*, int64_t, int, int);
template void plan_sum<double>(Operation&, double*, int64_t, int, int);

void plan_broadcast(Operation& operation, char* data, int64_t bytes, int rank, int size) {
  int mask = 1;
  while (mask < size && (rank & mask) == 0) mask *= 2;
  if (rank != 0) {
    Round round;
    round.receive_from = rank - mask;
    round.receive = data;
    round.receive_bytes = static_cast<size_t>(bytes);
    operation.rounds.push_back(std::move(round));
  }
  for (mask /= 2; mask > 0; mask /= 2) {
    if (rank + mask >= size) continue;
    Round round;
    round.send_to = rank + mask;
    round.send = data;
    round.send_bytes = static_cast<size_t>(bytes);
    operation.rounds.push_back(std::move(round));
  }
}

}  // namespace bnn_mpi
