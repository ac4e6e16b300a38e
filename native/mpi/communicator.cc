#include "mpi/communicator.h"

#include "mpi/launcher.h"
#include "mpi/schedule.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

namespace bnn_mpi {
namespace {

constexpr int kBeatTag = 1, kReportTag = 2;
constexpr int kTags = 8192;
constexpr double kBeatMs = 1000;
// How long the owner has to end the job after it failed, before the thread does.
constexpr double kMercyMs = 15000;
constexpr auto kExitPatience = std::chrono::seconds(3);
constexpr const char* kLost = " has not been heard of for ";
// Whether a process is out of reach, so that its machine may be.
std::atomic<bool> is_somebody_lost{false};
constexpr size_t kReportBytes = 16384;
// Between two looks at what is under way, since a look takes time from those that compute: a share of how long somebody waits, or of how
// long the youngest operation has been under way that nobody waits for; while nothing is under way.
constexpr double kLeastNapMs = 0.02, kMostNapMs = 1;
constexpr double kWaitedShare = 1.0 / 64, kUnderWayShare = 1.0 / 4;
constexpr double kIdleNapMs = 20;
// Between two looks at who is alive.
constexpr double kLookMs = 5;
constexpr size_t kMostTimes = 65536;

double now_ms() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string error_text(int code) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  return std::string(text, static_cast<size_t>(length));
}

void allow_short_naps() {
#if defined(__linux__)
  prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
#endif
}

std::thread::id mpi_thread;
int exit_code = 1;

// Where MPI itself ends the process, from its thread, nothing may be destroyed that JavaScript is using.
void exit_at_once() {
  if (std::this_thread::get_id() == mpi_thread) _exit(exit_code);
}

[[noreturn]] void end_all(int code) {
  // Where another machine is out of reach, MPI_Abort may wait for it, and so may the launcher.
  if (is_somebody_lost) end_launchers_later();
  std::thread([code] {
    std::this_thread::sleep_for(kExitPatience);
    _exit(code);
  }).detach();
  exit_code = code;
  MPI_Abort(MPI_COMM_WORLD, code);
  _exit(code);
}

}  // namespace

Communicator::Communicator(double patience_seconds) : patience_ms_(patience_seconds * 1000) {
  thread_ = new std::thread([this] { run(); });
  std::unique_lock<std::mutex> lock(mutex_);
  wake_caller_.wait(lock, [this] { return is_started_; });
  if (!start_problem_.empty()) throw std::runtime_error(start_problem_);
}

void Communicator::start_mpi() {
  int provided = 0;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
    throw std::runtime_error("MPI_Init_thread failed");
  if (provided < MPI_THREAD_FUNNELED) throw std::runtime_error("this MPI was built without threads (MPI_THREAD_FUNNELED)");
  MPI_Comm_rank(MPI_COMM_WORLD, &facts_.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &facts_.size);
  MPI_Comm local = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, facts_.rank, MPI_INFO_NULL, &local);
  MPI_Comm_rank(local, &facts_.local_rank);
  MPI_Comm_size(local, &facts_.local_size);
  MPI_Comm_free(&local);
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  facts_.library = std::string(text, strcspn(text, ",\n"));
  char host[MPI_MAX_PROCESSOR_NAME] = "";
  MPI_Get_processor_name(host, &length);
  std::vector<char> hosts(static_cast<size_t>(facts_.size) * MPI_MAX_PROCESSOR_NAME);
  MPI_Allgather(host, MPI_MAX_PROCESSOR_NAME, MPI_CHAR, hosts.data(), MPI_MAX_PROCESSOR_NAME, MPI_CHAR, MPI_COMM_WORLD);
  for (int i = 0; i < facts_.size; i++) facts_.hosts.emplace_back(hosts.data() + static_cast<size_t>(i) * MPI_MAX_PROCESSOR_NAME);
  for (MPI_Comm* copy : {&data_, &control_}) {
    MPI_Comm_dup(MPI_COMM_WORLD, copy);
    MPI_Comm_set_errhandler(*copy, MPI_ERRORS_RETURN);
  }
  last_heard_ms_ = now_ms();
  if (facts_.size == 1) return;
  const int previous = (facts_.rank + facts_.size - 1) % facts_.size;
  MPI_Irecv(&beat_in_, 1, MPI_CHAR, previous, kBeatTag, control_, &beat_receive_);
  if (facts_.rank != 0) return;
  report_in_.resize(kReportBytes);
  MPI_Irecv(report_in_.data(), static_cast<int>(kReportBytes), MPI_CHAR, MPI_ANY_SOURCE, kReportTag, control_, &report_receive_);
}

void Communicator::run() {
  allow_short_naps();
  mpi_thread = std::this_thread::get_id();
  try {
    start_mpi();
  } catch (const std::exception& error) {
    start_problem_ = error.what();
  }
  // After MPI's own, so that it is called before them.
  std::atexit(exit_at_once);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_started_ = true;
    wake_caller_.notify_all();
    if (!start_problem_.empty()) return;
  }
  for (;;) {
    const bool is_busy = step();
    std::unique_lock<std::mutex> lock(mutex_);
    if (has_ended_) return;
    if (abort_code_ >= 0) {
      lock.unlock();
      end_all(abort_code_);
    }
    if (!incoming_.empty()) continue;
    double nap = kIdleNapMs;
    if (is_busy) {
      const double share = waiting_ > 0 ? (now_ms() - waiting_since_ms_) * kWaitedShare : (now_ms() - youngest_ms_) * kUnderWayShare;
      nap = std::clamp(share, kLeastNapMs, kMostNapMs);
    }
    if (should_end_) nap = kLeastNapMs;
    wake_thread_.wait_for(lock, std::chrono::duration<double, std::milli>(nap));
  }
}

bool Communicator::step() {
  bool should_end = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto& operation : incoming_) {
      youngest_ms_ = operation->begun_ms;
      active_.push_back(std::move(operation));
    }
    incoming_.clear();
    should_end = should_end_;
  }
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& operation : active_) moved = advance(*operation) || moved;
    const auto is_done = [](const std::shared_ptr<Operation>& operation) { return operation->is_done; };
    const auto end = std::remove_if(active_.begin(), active_.end(), is_done);
    if (end == active_.end()) continue;
    active_.erase(end, active_.end());
    const std::lock_guard<std::mutex> lock(mutex_);
    wake_caller_.notify_all();
  }
  const double now = now_ms();
  if (facts_.size > 1 && (now - last_look_ms_ >= kLookMs || should_end)) {
    last_look_ms_ = now;
    beat(now);
    hear(now);
  }
  if (should_end && active_.empty()) {
    const bool is_over = facts_.size == 1 || (has_said_goodbye_ && has_heard_goodbye_);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (is_over || !failure_.empty()) {
      if (!failure_.empty()) end_all(1);
      if (report_receive_ != MPI_REQUEST_NULL) {
        MPI_Cancel(&report_receive_);
        MPI_Wait(&report_receive_, MPI_STATUS_IGNORE);
      }
      MPI_Finalize();
      has_ended_ = true;
      wake_caller_.notify_all();
    }
  }
  return !active_.empty();
}

void Communicator::post(Operation& operation) {
  const Round& round = operation.rounds[operation.next];
  operation.requests[0] = operation.requests[1] = MPI_REQUEST_NULL;
  int code = MPI_SUCCESS;
  if (round.receive_from >= 0) {
    char* into = round.receive != nullptr ? round.receive : operation.scratch.data();
    code = MPI_Irecv(into, static_cast<int>(round.receive_bytes), MPI_BYTE, round.receive_from, operation.tag, data_,
                     &operation.requests[0]);
  }
  if (code == MPI_SUCCESS && round.send_to >= 0) {
    code = MPI_Isend(round.send, static_cast<int>(round.send_bytes), MPI_BYTE, round.send_to, operation.tag, data_,
                     &operation.requests[1]);
    const std::lock_guard<std::mutex> lock(mutex_);
    counters_.bytes_sent += static_cast<double>(round.send_bytes);
    counters_.messages += 1;
  }
  if (code != MPI_SUCCESS) note_failure("MPI cannot reach another process: " + error_text(code));
  operation.is_posted = true;
}

// Whether a round was begun or ended.
bool Communicator::advance(Operation& operation) {
  bool moved = false;
  while (operation.next < operation.rounds.size()) {
    if (!operation.is_posted) {
      post(operation);
      moved = true;
    }
    int is_complete = 0;
    const int code = MPI_Testall(2, operation.requests, &is_complete, MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS) {
      note_failure("MPI lost the connection to another process: " + error_text(code));
      return false;
    }
    if (is_complete == 0) return moved;
    const Round& round = operation.rounds[operation.next];
    if (round.then) round.then();
    operation.next++;
    operation.is_posted = false;
    moved = true;
  }
  if (!operation.is_done) {
    const std::lock_guard<std::mutex> lock(mutex_);
    operation.is_done = true;
    operation.done_ms = now_ms();
  }
  return moved;
}

// Tells the next process that this one is alive, or that it ends, and process 0 what went wrong here.
void Communicator::beat(double now) {
  std::string report;
  bool is_reporting = false, should_end = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_reporting = has_report_ && !is_report_sent_;
    if (is_reporting) report = report_;
    should_end = should_end_ && active_.empty();
  }
  if (is_reporting && facts_.rank != 0) {
    MPI_Request request = MPI_REQUEST_NULL;
    static std::vector<char> bytes;
    bytes.assign(report.begin(), report.begin() + static_cast<long>(std::min(report.size(), kReportBytes)));
    MPI_Isend(bytes.data(), static_cast<int>(bytes.size()), MPI_CHAR, 0, kReportTag, control_, &request);
    MPI_Request_free(&request);
    is_report_sent_ = true;
  }
  int is_sent = 1;
  if (beat_send_ != MPI_REQUEST_NULL) MPI_Test(&beat_send_, &is_sent, MPI_STATUS_IGNORE);
  if (is_sent == 0 || has_said_goodbye_ || (now - last_beat_ms_ < kBeatMs && !should_end)) return;
  last_beat_ms_ = now;
  beat_out_ = should_end ? 1 : 0;
  has_said_goodbye_ = should_end;
  MPI_Isend(&beat_out_, 1, MPI_CHAR, (facts_.rank + 1) % facts_.size, kBeatTag, control_, &beat_send_);
}

void Communicator::hear(double now) {
  const int previous = (facts_.rank + facts_.size - 1) % facts_.size;
  int is_here = 0;
  if (beat_receive_ != MPI_REQUEST_NULL) MPI_Test(&beat_receive_, &is_here, MPI_STATUS_IGNORE);
  if (is_here != 0) {
    last_heard_ms_ = now;
    if (beat_in_ == 1) {
      has_heard_goodbye_ = true;
    } else {
      MPI_Irecv(&beat_in_, 1, MPI_CHAR, previous, kBeatTag, control_, &beat_receive_);
    }
  }
  if (!has_heard_goodbye_ && now - last_heard_ms_ > patience_ms_) {
    note_failure(name_of(previous) + kLost + std::to_string(std::lround(patience_ms_ / 1000)) + " s");
  }
  if (report_receive_ != MPI_REQUEST_NULL) {
    MPI_Status status;
    MPI_Test(&report_receive_, &is_here, &status);
    if (is_here != 0) {
      int length = 0;
      MPI_Get_count(&status, MPI_CHAR, &length);
      note_failure(std::to_string(status.MPI_SOURCE) + " " + std::string(report_in_.data(), static_cast<size_t>(length)));
    }
  }
  bool is_late = false;
  std::string text;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_late = !failure_.empty() && now - failed_ms_ > kMercyMs;
    text = failure_;
  }
  if (!is_late) return;
  fprintf(stderr, "error: %s of %s: %s\n", name_of(facts_.rank).c_str(), facts_.library.c_str(), text.c_str());
  end_all(1);
}

void Communicator::note_failure(const std::string& text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!failure_.empty()) return;
  failure_ = text;
  if (text.find(kLost) != std::string::npos) is_somebody_lost = true;
  failed_ms_ = now_ms();
  wake_caller_.notify_all();
}

std::string Communicator::name_of(int rank) const {
  return "process " + std::to_string(rank) + " on " + facts_.hosts[static_cast<size_t>(rank)];
}

int Communicator::add(std::unique_ptr<Operation> operation) {
  const std::lock_guard<std::mutex> lock(mutex_);
  operation->begun_ms = now_ms();
  operation->tag = next_tag_;
  next_tag_ = (next_tag_ + 1) % kTags;
  std::shared_ptr<Operation> shared = std::move(operation);
  incoming_.push_back(shared);
  const int id = next_id_++;
  operations_.emplace_back(id, std::move(shared));
  wake_thread_.notify_one();
  return id;
}

template <typename T>
int Communicator::begin_sum(T* data, int64_t count) {
  auto operation = std::make_unique<Operation>();
  plan_sum(*operation, data, count, facts_.rank, facts_.size);
  return add(std::move(operation));
}
template int Communicator::begin_sum<float>(float*, int64_t);
template int Communicator::begin_sum<double>(double*, int64_t);

int Communicator::begin_broadcast(char* data, int64_t bytes) {
  auto operation = std::make_unique<Operation>();
  plan_broadcast(*operation, data, bytes, facts_.rank, facts_.size);
  return add(std::move(operation));
}

bool Communicator::wait(int id) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto found = std::find_if(operations_.begin(), operations_.end(), [id](const auto& entry) { return entry.first == id; });
  if (found == operations_.end()) throw std::runtime_error("no such operation");
  const std::shared_ptr<Operation> operation = found->second;
  const double wait_ms = now_ms();
  if (waiting_++ == 0) waiting_since_ms_ = wait_ms;
  wake_thread_.notify_one();
  wake_caller_.wait(lock, [&] { return operation->is_done || !failure_.empty(); });
  waiting_--;
  if (!operation->is_done) return false;
  if (times_.size() == kMostTimes) times_.pop_front();
  times_.push_back({operation->begun_ms, wait_ms, operation->done_ms, now_ms()});
  operations_.erase(std::find_if(operations_.begin(), operations_.end(), [id](const auto& entry) { return entry.first == id; }));
  return true;
}

bool Communicator::is_done(int id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = std::find_if(operations_.begin(), operations_.end(), [id](const auto& entry) { return entry.first == id; });
  return found == operations_.end() || found->second->is_done;
}

std::string Communicator::failure() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return failure_;
}

Counters Communicator::counters() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return counters_;
}

std::vector<Times> Communicator::take_times() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Times> taken(times_.begin(), times_.end());
  times_.clear();
  return taken;
}

void Communicator::report(const std::string& text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  report_ = text;
  has_report_ = true;
  wake_thread_.notify_one();
}

void Communicator::finalize() {
  std::unique_lock<std::mutex> lock(mutex_);
  should_end_ = true;
  wake_thread_.notify_one();
  wake_caller_.wait(lock, [this] { return has_ended_; });
  lock.unlock();
  // Else it ends while the process does, whose libraries take down what it still uses.
  if (thread_->joinable()) thread_->join();
}

void Communicator::abort(int code) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    abort_code_ = code;
    wake_thread_.notify_one();
  }
  // The thread may hang in MPI.
  std::this_thread::sleep_for(kExitPatience);
  _exit(code);
}

}  // namespace bnn_mpi
