// A stack of its own and the switch to it and back: what scheduler_fibers.cc is made of. Written
// once for x86-64 (a dozen instructions; fiber_x86_64.cc) and once over ucontext for any other
// machine.
#pragma once

#include <cstddef>
#include <memory>

// ThreadSanitizer keeps one stack of calls for the OS thread, on which those of all fibers lie:
// what it prints below the innermost call may be another fiber's. It stays as deep as it was only
// if functions that one stack enters and another leaves, or nobody, are not counted: kept from it
// with this.
#define CLIPTAG_SWITCHES_STACKS __attribute__((no_sanitize("thread")))

namespace cliptag::emulation {

class Fiber {
 public:
  Fiber();  // the caller's own stack
  Fiber(void* stack, size_t bytes, void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Leaves the running fiber `from` and goes on where `to` was left, or at its entry.
  CLIPTAG_SWITCHES_STACKS static void Switch(Fiber& from, Fiber& to);

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace cliptag::emulation
