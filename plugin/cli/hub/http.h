// One HTTP request at a time, without following redirects: who asks decides what goes where. Made
// by libcurl, or absent where the build has none (meson chooses the file).
//
// Ownership: a client keeps its connection open between requests. Thread safety: an object belongs
// to one thread; several clients are independent.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "kernels/base/status.h"
#include "plugin/cli/hub/settings.h"

namespace cliptag {

struct HttpRequest {
  std::string url;
  std::string token;       // sent as "Authorization: Bearer …" to this URL's host; empty = none
  int64_t first_byte = 0;  // what is before it is not asked for
};

enum class HttpFailure {
  kNone,
  kResolve,  // no such name, or no network
  kProxy,
  kConnect,
  kTimeout,
  kTls,
  kBroken,   // the connection ended before the answer did
  kSink,     // the sink did not want any more
  kStopped,  // the caller's flag
  kOther,
};

struct HttpReply {
  int status = 0;                              // 0: there was no answer
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // its beginning, where it did not go to the sink
  std::string redirect;                        // of a 3xx: where to, as an absolute URL
  int64_t retry_after_s = 0;                   // what the server asks to wait
  HttpFailure failure = HttpFailure::kNone;
  std::string reason;  // of a failure, in the library's words

  std::string Header(const std::string& name) const {
    const auto it = headers.find(name);
    return it == headers.end() ? "" : it->second;
  }
};

// Takes the body of an answer of status 200 or 206.
class HttpSink {
 public:
  virtual ~HttpSink() = default;
  // Called once, before the first byte; false ends the transfer.
  virtual bool Begin(const HttpReply& reply) = 0;
  virtual bool Take(std::string_view bytes) = 0;
};

class HttpClient {
 public:
  // An error where the build has no HTTP. `stop`, if given, ends a transfer when it becomes true;
  // borrowed.
  static Result<std::unique_ptr<HttpClient>> Create(const HubSettings& settings,
                                                    const std::atomic<bool>* stop);
  virtual ~HttpClient() = default;
  virtual HttpReply Get(const HttpRequest& request, HttpSink* sink) = 0;
};

}  // namespace cliptag
