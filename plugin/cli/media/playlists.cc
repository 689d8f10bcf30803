#include "plugin/cli/media/playlists.h"

#include <utility>

namespace cliptag {
namespace {

int OnSelect(GstElement*, GstPad*, GstCaps*, GstElementFactory* factory, gpointer) {
  constexpr int kTry = 0, kSkip = 2;  // GstAutoplugSelectResult is in no header
  const char* const metadata =
      gst_element_factory_get_metadata(factory, GST_ELEMENT_METADATA_KLASS);
  const std::string_view klass = metadata ? metadata : "";
  const bool elsewhere = klass.find("Adaptive") != std::string_view::npos ||
                         klass.find("Network") != std::string_view::npos ||
                         klass.find("Editing") != std::string_view::npos ||
                         gst_element_factory_get_uri_type(factory) == GST_URI_SRC;
  return elsewhere ? kSkip : kTry;
}

}  // namespace

std::string_view PlaylistName(std::string_view caps) {
  constexpr std::pair<std::string_view, std::string_view> kPlaylists[] = {
      {"application/x-hls", "an HLS playlist"},
      {"application/dash+xml", "a DASH manifest"},
      {"application/vnd.ms-sstr+xml", "a Smooth Streaming manifest"},
      {"application/sdp", "a description of a network session (SDP)"},
      {"application/xges", "a timeline of other files"},
      {"text/uri-list", "a list of addresses"}};
  for (const auto& [name, what] : kPlaylists) {
    if (name == caps) return what;
  }
  return {};
}

void RefuseReadingElsewhere(GstElement* decodebin) {
  g_signal_connect(decodebin, "autoplug-select", G_CALLBACK(OnSelect), nullptr);
}

}  // namespace cliptag
