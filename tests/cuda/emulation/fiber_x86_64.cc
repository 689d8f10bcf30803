// The System V ABI's callee-saved registers on the stack, the stack pointer in the Fiber. Kernels
// do not touch the rounding modes, so these are left alone.
#include <cstdint>

#include "tests/cuda/emulation/fiber.h"

extern "C" void cliptag_switch_stack(void** save, void* load);

asm(R"(
  .text
  .p2align 4
  .type cliptag_switch_stack, @function
cliptag_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size cliptag_switch_stack, .-cliptag_switch_stack
)");

namespace cliptag::emulation {

struct Fiber::State {
  void* stack_pointer = nullptr;
};

Fiber::Fiber() : state_(std::make_unique<State>()) {}

Fiber::Fiber(void* stack, size_t bytes, void (*entry)()) : Fiber() {
  // From the top: a return address that is never used, the entry, six registers. At its first
  // instruction the entry finds the stack as after a call: 8 short of a multiple of 16.
  const uintptr_t top = (reinterpret_cast<uintptr_t>(stack) + bytes) & ~uintptr_t{15};
  auto* words = reinterpret_cast<uintptr_t*>(top);
  words[-1] = 0;
  words[-2] = reinterpret_cast<uintptr_t>(entry);
  for (int i = 3; i <= 8; ++i) words[-i] = 0;
  state_->stack_pointer = words - 8;
}

Fiber::~Fiber() = default;

void Fiber::Switch(Fiber& from, Fiber& to) {
  cliptag_switch_stack(&from.state_->stack_pointer, to.state_->stack_pointer);
}

}  // namespace cliptag::emulation
