// Where the hub is, who we are to it, and where other programs keep what they got from it: the
// environment variables that huggingface_hub knows.
//
// Plain data; thread safe as long as nobody changes the environment.
#pragma once

#include <string>

#include "kernels/base/status.h"

namespace cliptag {

inline constexpr char kHuggingFace[] = "https://huggingface.co";

struct HubSettings {
  std::string endpoint;      // HF_ENDPOINT, else kHuggingFace; without a slash at its end
  std::string token;         // HF_TOKEN, else what HF_TOKEN_PATH or HF_HOME/token holds; or empty
  std::string token_source;  // "HF_TOKEN" or the file
  std::string cache;         // HF_HUB_CACHE, else HF_HOME/hub; need not exist
  bool offline = false;      // HF_HUB_OFFLINE
  long answer_s = 10;        // HF_HUB_ETAG_TIMEOUT: for a connection to come about
  long stall_s = 30;         // HF_HUB_DOWNLOAD_TIMEOUT: without a byte
  std::string ca_file;       // SSL_CERT_FILE and the like; empty = the system's certificates
};

// Errors name the variable whose value makes no sense.
Result<HubSettings> ReadHubSettings();

}  // namespace cliptag
