// Sums and broadcasts among the processes of an MPI job, carried out by one thread while JavaScript computes.
//
// All calls of MPI are made by that thread, so MPI_THREAD_FUNNELED is enough. An operation is a list of rounds; in each, a process sends
// to one other and receives from one other, then adds or keeps what came. Which numbers are added in which order depends on the number of
// processes alone, never on who is faster: the same bits from run to run, on all processes, with any MPI.
//
// Processes also tell their neighbours once a second that they are alive. Silence, and what a process says of its own failure, ends the
// operations that are waited for.
#pragma once

#include <mpi.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace bnn_mpi {

struct Round {
  int send_to = -1;  // -1: to nobody
  const char* send = nullptr;
  size_t send_bytes = 0;
  int receive_from = -1;  // -1: from nobody
  char* receive = nullptr;
  size_t receive_bytes = 0;
  std::function<void()> then;  // may be empty
};

struct Operation {
  std::vector<Round> rounds;
  std::vector<char> scratch;
  size_t next = 0;  // the round under way
  bool is_posted = false;
  int tag = 0;
  MPI_Request requests[2];
  bool is_done = false;
  double begun_ms = 0, done_ms = 0;
};

// Times of an operation that was waited for, by the clock of this machine.
struct Times {
  double begun_ms, wait_ms, done_ms, end_ms;
};

struct Facts {
  int rank = 0, size = 1, local_rank = 0, local_size = 1;
  std::string library;
  std::vector<std::string> hosts;
};

struct Counters {
  double bytes_sent = 0;
  double messages = 0;
};

class Communicator {
 public:
  // Starts the thread and MPI in it; throws std::runtime_error when MPI cannot be started.
  explicit Communicator(double patience_seconds);

  const Facts& facts() const { return facts_; }
  // Sums in place; the memory stays the caller's and must stay until the operation was waited for.
  template <typename T>
  int begin_sum(T* data, int64_t count);
  // The bytes of process 0 for all.
  int begin_broadcast(char* data, int64_t bytes);
  // Waits for an operation, which is forgotten then. Returns false when the job has failed; `failure` says why.
  bool wait(int id);
  bool is_done(int id);
  std::string failure();
  Counters counters();
  // Of the operations that were waited for since the last call, in the order of waiting; the oldest are dropped where there are many.
  std::vector<Times> take_times();
  // Tells process 0 why this one fails; as process 0, just notes it.
  void report(const std::string& text);
  // Ends MPI; all processes must call it.
  void finalize();
  // Ends all processes, this one too.
  [[noreturn]] void abort(int code);

 private:
  void run();
  void start_mpi();
  bool step();  // whether anything is under way
  bool advance(Operation& operation);
  void post(Operation& operation);
  void beat(double now);
  void hear(double now);
  void note_failure(const std::string& text);
  int add(std::unique_ptr<Operation> operation);
  std::string name_of(int rank) const;

  Facts facts_;
  // Never deleted: a process that ends without finalize leaves it running.
  std::thread* thread_ = nullptr;
  double patience_ms_;
  std::mutex mutex_;
  std::condition_variable wake_thread_, wake_caller_;
  // Guarded by the mutex.
  std::deque<std::pair<int, std::shared_ptr<Operation>>> operations_;
  std::deque<std::shared_ptr<Operation>> incoming_;
  int next_id_ = 1;
  int waiting_ = 0;
  double waiting_since_ms_ = 0;
  std::deque<Times> times_;
  bool is_started_ = false;
  std::string start_problem_;
  std::string failure_;
  std::string report_;
  bool has_report_ = false;
  bool should_end_ = false, has_ended_ = false;
  int abort_code_ = -1;
  Counters counters_;

  // Of the thread alone.
  std::vector<std::shared_ptr<Operation>> active_;
  MPI_Comm data_ = MPI_COMM_NULL, control_ = MPI_COMM_NULL;
  int next_tag_ = 0;
  MPI_Request beat_send_ = MPI_REQUEST_NULL, beat_receive_ = MPI_REQUEST_NULL, report_receive_ = MPI_REQUEST_NULL;
  char beat_out_ = 0, beat_in_ = 0;
  std::vector<char> report_in_;
  double youngest_ms_ = 0, last_look_ms_ = 0, last_beat_ms_ = 0, last_heard_ms_ = 0, failed_ms_ = 0;
  bool is_report_sent_ = false;
  bool has_said_goodbye_ = false, has_heard_goodbye_ = false;
};

}  // namespace bnn_mpi
