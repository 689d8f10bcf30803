// What libFuzzer calls; meson makes a program of it for each target (CLIPTAG_FUZZ_TARGET).
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/fuzz_target.h"

extern "C" __attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(const uint8_t* data,
                                                                             size_t size) {
  static const cliptag::FuzzTarget* const target = cliptag::FindFuzzTarget(CLIPTAG_FUZZ_TARGET);
  target->read({reinterpret_cast<const char*>(data), size});
  return 0;
}
