// How the threads of one block run concurrently. Two implementations, one of which is linked:
// scheduler_fibers.cc (deterministic, one OS thread) and scheduler_threads.cc (an OS thread each,
// so that ThreadSanitizer sees every access of every CUDA thread and which barrier ordered it).
//
// Both know exactly when no thread can go on, so that a deadlock is a report and not a time-out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace cliptag::emulation {

// Thrown through kernel code to end a thread whose launch has failed.
struct Aborted {};

// Where threads sleep for each other. Gates are independent: passing one orders nothing with regard
// to the threads of another, which is what lets ThreadSanitizer miss no barrier.
class Gate {
 public:
  Gate();
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void Lock();
  void Unlock();
  void Sleep();  // until the next Open(); called and left with the lock held; may throw Aborted
  void Open();   // wakes whoever sleeps; lock held

  struct State;

 private:
  std::unique_ptr<State> state_;
};

// Runs body(0) .. body(count - 1) until all have returned. `stuck` is called once when all that are
// left are asleep; they are then aborted. `order` as in LaunchConfig.
void RunThreads(int count, uint32_t order, const std::function<void(int)>& body,
                const std::function<void()>& stuck);

// Ends the run: threads that sleep, or are about to, throw Aborted.
void AbortThreads();

// A value that follows the running thread: null at its start, and its own again after each Sleep.
// One for the process: kernels in a module see that of the library which runs them.
extern constinit __attribute__((visibility("default"))) thread_local void* thread_context;

}  // namespace cliptag::emulation
