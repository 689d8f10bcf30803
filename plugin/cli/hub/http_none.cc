// The build without libcurl.
#include "plugin/cli/hub/http.h"

namespace cliptag {

Result<std::unique_ptr<HttpClient>> HttpClient::Create(const HubSettings&,
                                                       const std::atomic<bool>*) {
  return Unsupported(
      "This cliptag was built without libcurl and cannot pull models: install "
      "libcurl4-openssl-dev, run meson setup --reconfigure and build again, or put the model's "
      "files into a directory by other means.");
}

}  // namespace cliptag
