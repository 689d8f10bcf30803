// The bus message `cliptag-prompts`: other prompts have been taken over while the element plays.
#pragma once

#include <gst/gst.h>

#include "models/prompts/prompts.h"

namespace cliptag {

// `count`, of the labels, and `hash`: SHA-256 in hexadecimal digits of all that scores follow from,
// labels, prompts, pictures, templates, background and thresholds, so equal where those are. The
// caller owns it.
GstStructure* MakePromptsStructure(const PromptBank& bank);

}  // namespace cliptag
