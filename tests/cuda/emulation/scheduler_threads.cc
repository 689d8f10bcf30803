// An OS thread per CUDA thread. `awake` counts those that can go on; it and the abort flag are
// relaxed atomics on purpose: they must order nothing, or ThreadSanitizer would take them for
// barriers.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/cuda/emulation/scheduler.h"

namespace cliptag::emulation {

struct Gate::State {
  std::mutex mutex;
  std::condition_variable opened;
  uint64_t times = 0;  // it was opened
  int sleepers = 0;
};

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

struct Run {
  std::atomic<int> awake{0}, finished{0};
  std::atomic<bool> aborted{false}, reported{false};
  int count = 0;
  const std::function<void()>* stuck = nullptr;
};
Run run;
std::mutex gates_mutex;
std::vector<Gate::State*> gates;

// Called by the thread that was the last one awake, holding no gate.
void ReportStuck() {
  if (run.aborted.load(kRelaxed) || run.reported.exchange(true, kRelaxed)) return;
  (*run.stuck)();
  AbortThreads();
}

}  // namespace

Gate::Gate() : state_(std::make_unique<State>()) {
  const std::lock_guard lock(gates_mutex);
  gates.push_back(state_.get());
}

Gate::~Gate() {
  const std::lock_guard lock(gates_mutex);
  std::erase(gates, state_.get());
}

void Gate::Lock() { state_->mutex.lock(); }
void Gate::Unlock() { state_->mutex.unlock(); }

void Gate::Sleep() {
  const uint64_t times = state_->times;
  ++state_->sleepers;
  if (run.awake.fetch_sub(1, kRelaxed) == 1) {
    state_->mutex.unlock();
    ReportStuck();
    state_->mutex.lock();
  }
  std::unique_lock lock(state_->mutex, std::adopt_lock);
  while (state_->times == times && !run.aborted.load(kRelaxed)) state_->opened.wait(lock);
  lock.release();
  if (run.aborted.load(kRelaxed)) throw Aborted();
}

void Gate::Open() {
  run.awake.fetch_add(state_->sleepers, kRelaxed);
  state_->sleepers = 0;
  ++state_->times;
  state_->opened.notify_all();
}

void AbortThreads() {
  run.aborted.store(true, kRelaxed);
  const std::lock_guard lock(gates_mutex);
  for (Gate::State* gate : gates) {
    const std::lock_guard gate_lock(gate->mutex);
    gate->opened.notify_all();
  }
}

void RunThreads(int count, uint32_t /*order*/, const std::function<void(int)>& body,
                const std::function<void()>& stuck) {
  run.awake = count;
  run.finished = 0;
  run.aborted = false;
  run.reported = false;
  run.count = count;
  run.stuck = &stuck;
  std::vector<std::thread> threads;
  threads.reserve(count);
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&body, i] {
      try {
        body(i);
      } catch (const Aborted&) {  // its launch has failed and says why elsewhere
        AbortThreads();
      }
      run.finished.fetch_add(1, kRelaxed);
      if (run.awake.fetch_sub(1, kRelaxed) == 1 && run.finished.load(kRelaxed) < run.count) {
        ReportStuck();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace cliptag::emulation
