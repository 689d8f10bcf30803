// How a model's files are laid out. OpenAI's archives count as open_clip's.
#pragma once

#include <cstdint>

namespace cliptag {

enum class Layout : uint8_t { kHuggingFace, kOpenClip };

}  // namespace cliptag
