#include "plugin/elements/keyframes/refusal.h"

#include <array>
#include <cstring>

namespace cliptag {
namespace {

struct Known {
  const char *type, *parser;
};
constexpr std::array<Known, 5> kKnown = {{{"video/x-h264", "h264parse"},
                                          {"video/x-h265", "h265parse"},
                                          {"video/x-av1", "av1parse"},
                                          {"video/x-vp8", nullptr},
                                          {"video/x-vp9", "vp9parse"}}};

const char* ParserFor(const char* type) {
  for (const Known& known : kKnown) {
    if (std::strcmp(known.type, type) == 0) return known.parser;
  }
  return nullptr;
}

std::string Field(const GstStructure* structure, const char* name) {
  const gchar* value = gst_structure_get_string(structure, name);
  return std::string(name) + (value == nullptr ? " unknown" : std::string("=") + value);
}

}  // namespace

std::string WhyRefused(const GstCaps* caps) {
  const GstStructure* structure =
      gst_caps_get_size(caps) > 0 ? gst_caps_get_structure(caps, 0) : nullptr;
  const char* type = structure != nullptr ? gst_structure_get_name(structure) : "nothing";
  const char* parser = ParserFor(type);
  if (parser == nullptr) {
    return std::string("cliptagkeyframes takes encoded H.264, H.265, VP8, VP9 or AV1 video, not ") +
           type + "; it belongs between the parser and the decoder of such a stream.";
  }
  return "cliptagkeyframes takes whole pictures, " +
         std::string(std::strcmp(type, "video/x-av1") == 0 ? "alignment=tu" : "alignment=au") +
         ", and what comes is " + type + " with " + Field(structure, "alignment") + " and " +
         Field(structure, "stream-format") + "; put " + parser + " before it.";
}

}  // namespace cliptag
