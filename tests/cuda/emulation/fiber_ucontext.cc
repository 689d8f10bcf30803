// For machines without a switch of their own: slower, since each switch is also a system call.
#include <ucontext.h>

#include "tests/cuda/emulation/fiber.h"

namespace cliptag::emulation {

struct Fiber::State {
  ucontext_t context{};
};

Fiber::Fiber() : state_(std::make_unique<State>()) {}

Fiber::Fiber(void* stack, size_t bytes, void (*entry)()) : Fiber() {
  getcontext(&state_->context);
  state_->context.uc_stack.ss_sp = stack;
  state_->context.uc_stack.ss_size = bytes;
  makecontext(&state_->context, entry, 0);
}

Fiber::~Fiber() = default;

void Fiber::Switch(Fiber& from, Fiber& to) {
  swapcontext(&from.state_->context, &to.state_->context);
}

}  // namespace cliptag::emulation
