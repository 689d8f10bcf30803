// The preprocessing loops with 4 lanes, in the compiler's own vector types: for any x86-64 (SSE2)
// and aarch64. Little endian.
#include "kernels/cpu/preprocess/kernels.h"

namespace cliptag {
namespace {

constexpr int kLanes = 4;
#include "kernels/cpu/preprocess/types.inc"

typedef uint8_t Bytes16 __attribute__((vector_size(16)));
typedef uint16_t Words8 __attribute__((vector_size(16)));

inline Ints WidenWords(Words8 words) {
  return (Ints)__builtin_shufflevector(words, Words8{}, 0, 8, 1, 9, 2, 10, 3, 11);
}

inline Ints LoadBytes(const uint8_t* from) {
  uint32_t four;
  __builtin_memcpy(&four, from, sizeof(four));
  const Bytes16 bytes = (Bytes16)Uints{four, 0, 0, 0};
  return WidenWords((Words8)__builtin_shufflevector(bytes, Bytes16{}, 0, 16, 1, 17, 2, 18, 3, 19, 4,
                                                    20, 5, 21, 6, 22, 7, 23));
}

inline Ints LoadWords(const uint8_t* from) {
  uint64_t four;
  __builtin_memcpy(&four, from, sizeof(four));
  typedef uint64_t Longs2 __attribute__((vector_size(16)));
  return WidenWords((Words8)Longs2{four, 0});
}

inline void StoreBytes(uint8_t* to, Ints values) {
  for (int i = 0; i < kLanes; ++i) to[i] = static_cast<uint8_t>(values[i]);
}

inline void StoreWords(uint16_t* to, Uints values) {
  for (int i = 0; i < kLanes; ++i) to[i] = static_cast<uint16_t>(values[i]);
}

#include "kernels/cpu/preprocess/loops.inc"

}  // namespace

extern const PreprocessKernels kPreprocessBaseline = MakeKernels("baseline");

}  // namespace cliptag
