// One OS thread; a CUDA thread runs until it sleeps at a gate. Whoever can run waits in a list,
// taken from its front, or from anywhere as the seed has it.
#include <sys/mman.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "tests/cuda/emulation/emulation.h"
#include "tests/cuda/emulation/fiber.h"
#include "tests/cuda/emulation/scheduler.h"

// Present only in a build with AddressSanitizer, which wants to know about every change of stacks.
extern "C" __attribute__((weak)) void __sanitizer_start_switch_fiber(void**, const void*, size_t);
extern "C" __attribute__((weak)) void __sanitizer_finish_switch_fiber(void*, const void**, size_t*);

namespace cliptag::emulation {
namespace {

constexpr size_t kStackBytes = 256 * 1024;  // with the sanitizers' red zones; touched pages count

class Stack {
 public:
  Stack()
      : memory_(mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0)) {
    if (memory_ == MAP_FAILED) std::abort();  // a test program out of address space
  }
  ~Stack() { munmap(memory_, kStackBytes); }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  void* memory() const { return memory_; }

 private:
  void* memory_;
};

struct Thread {
  std::unique_ptr<Fiber> fiber;
  void* context = nullptr;
  void* fake_stack = nullptr;  // AddressSanitizer's
  bool finished = false;
};

class Scheduler {
 public:
  void Run(int count, uint32_t order, const std::function<void(int)>& body,
           const std::function<void()>& stuck) {
    body_ = &body;
    aborted_ = false;
    order_ = order;
    random_.seed(order);
    threads_.clear();
    threads_.resize(count);
    while (stacks_.size() < threads_.size()) stacks_.push_back(std::make_unique<Stack>());
    ready_.clear();
    for (int i = 0; i < count; ++i) {
      threads_[i].fiber = std::make_unique<Fiber>(stacks_[i]->memory(), kStackBytes, &Entry);
      ready_.push_back(i);
    }
    next_ = 0;
    int finished = 0;
    while (finished < count) {
      if (next_ == ready_.size()) {
        running_ = -1;
        stuck();
        Abort();
      }
      running_ = Take();
      Thread& thread = threads_[running_];
      thread_context = thread.context;
      Leave(home_fake_stack_, stacks_[running_]->memory(), kStackBytes);
      Fiber::Switch(home_, *thread.fiber);
      Arrive(home_fake_stack_, nullptr, nullptr);
      if (thread.finished) ++finished;
    }
  }

  void Abort() {
    if (aborted_) return;
    aborted_ = true;
    ready_.clear();
    next_ = 0;
    for (int i = 0; i < static_cast<int>(threads_.size()); ++i) {
      if (!threads_[i].finished && i != running_) ready_.push_back(i);
    }
  }

  void Sleep(std::vector<int>& sleepers) {
    if (aborted_) throw Aborted();
    sleepers.push_back(running_);
    Thread& thread = threads_[running_];
    thread.context = thread_context;
    Leave(thread.fake_stack, home_stack_, home_bytes_);
    Fiber::Switch(*thread.fiber, home_);
    Arrive(thread.fake_stack, &home_stack_, &home_bytes_);
    if (aborted_) throw Aborted();
  }

  void Wake(std::vector<int>& sleepers) {
    if (!aborted_) ready_.insert(ready_.end(), sleepers.begin(), sleepers.end());
    sleepers.clear();
  }

 private:
  CLIPTAG_SWITCHES_STACKS static void Entry();

  CLIPTAG_SWITCHES_STACKS void Body() {
    Arrive(nullptr, &home_stack_, &home_bytes_);
    try {
      if (!aborted_) (*body_)(running_);
    } catch (const Aborted&) {  // its launch has failed and says why elsewhere
      Abort();
    }
    Thread& thread = threads_[running_];
    thread.finished = true;
    if (__sanitizer_start_switch_fiber) {  // null: this stack is done
      __sanitizer_start_switch_fiber(nullptr, home_stack_, home_bytes_);
    }
    Fiber::Switch(*thread.fiber, home_);
  }

  int Take() {
    if (order_ == kLatestFirst) {
      const int thread = ready_.back();
      ready_.pop_back();
      return thread;
    }
    if (order_ != kAscending) {
      std::swap(ready_[next_], ready_[next_ + random_() % (ready_.size() - next_)]);
    }
    const int thread = ready_[next_++];
    if (next_ > 4096) {
      ready_.erase(ready_.begin(), ready_.begin() + static_cast<ptrdiff_t>(next_));
      next_ = 0;
    }
    return thread;
  }

  static void Leave(void*& fake_stack, const void* stack, size_t bytes) {
    if (__sanitizer_start_switch_fiber) __sanitizer_start_switch_fiber(&fake_stack, stack, bytes);
  }
  static void Arrive(void* fake_stack, const void** stack, size_t* bytes) {
    if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(fake_stack, stack, bytes);
  }

  std::vector<std::unique_ptr<Stack>> stacks_;
  std::vector<Thread> threads_;
  std::vector<int> ready_;  // from next_ on
  size_t next_ = 0;
  Fiber home_;
  void* home_fake_stack_ = nullptr;
  const void* home_stack_ = nullptr;
  size_t home_bytes_ = 0;
  const std::function<void(int)>* body_ = nullptr;
  std::minstd_rand random_;
  uint32_t order_ = 0;
  int running_ = -1;
  bool aborted_ = false;
};

Scheduler& TheScheduler() {
  static Scheduler scheduler;
  return scheduler;
}

void Scheduler::Entry() { TheScheduler().Body(); }

}  // namespace

struct Gate::State {
  std::vector<int> sleepers;
};

Gate::Gate() : state_(std::make_unique<State>()) {}
Gate::~Gate() = default;
void Gate::Lock() {}
void Gate::Unlock() {}
void Gate::Sleep() { TheScheduler().Sleep(state_->sleepers); }
void Gate::Open() { TheScheduler().Wake(state_->sleepers); }

void RunThreads(int count, uint32_t order, const std::function<void(int)>& body,
                const std::function<void()>& stuck) {
  TheScheduler().Run(count, order, body, stuck);
}
void AbortThreads() { TheScheduler().Abort(); }

}  // namespace cliptag::emulation
