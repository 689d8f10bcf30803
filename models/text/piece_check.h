// Whether a sentencepiece model can be handed to the library, which believes what it is given: a
// damaged map of characters makes it read outside of the map, and a long piece overflows its stack.
//
// Thread safety: pure functions over bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "kernels/base/status.h"

namespace cliptag {

// The longest pieces of the vocabularies that there are have under 100 bytes, the largest maps
// 400 kB, and what a character becomes 54 bytes.
inline constexpr size_t kMaxPieceBytes = 1000, kMaxCharsmapBytes = size_t{4} << 20,
                        kMaxReplacementBytes = 1000;

// The bytes of a file (sentencepiece_model.proto): its pieces and its maps. `file` is for messages.
Status CheckSentencePiece(std::string_view bytes, const std::string& file);

// precompiled_charsmap: the length of a trie in bytes, the trie (Darts-clone's double array), and
// the texts that its values point into, each with a zero at its end.
Status CheckCharsmap(std::string_view map, const std::string& file);

}  // namespace cliptag
