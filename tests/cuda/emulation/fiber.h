// A stack of its own and the switch to it and back: what scheduler_fibers.cc is made of. Written
// once for x86-64 (a dozen instructions; fiber_x86_64.cc) and once over ucontext for any other
// machine.
#pragma once

#include <cstddef>
#include <memory>

namespace cliptag::emulation {

class Fiber {
 public:
  Fiber();  // the caller's own stack
  Fiber(void* stack, size_t bytes, void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Leaves the running fiber `from` and goes on where `to` was left, or at its entry.
  static void Switch(Fiber& from, Fiber& to);

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace cliptag::emulation
