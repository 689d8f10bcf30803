// Gets documents and files from a hub: follows redirects without taking the token along to other
// hosts, tries again when the network or the server falters, and says what went wrong in a
// sentence.
//
// Ownership: borrows the stop flag and what it hears back through. Thread safety: belongs to one
// thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kernels/base/status.h"
#include "plugin/cli/hub/http.h"
#include "plugin/cli/hub/settings.h"

namespace cliptag {

// What is asked for; the names are for messages.
struct HubRequest {
  std::string path;      // below the endpoint, percent-encoded
  std::string id;        // "ORG/NAME"
  std::string revision;  // "main"
  std::string file;      // empty: the repository's description
};

// Takes what comes, over several connections if need be.
class HubSink {
 public:
  virtual ~HubSink() = default;
  virtual int64_t Have() const = 0;  // bytes that need not come again
  // The answer's headers, with those of the redirects that led to it; what follows begins at
  // `first_byte`.
  virtual Status Begin(const HttpReply& reply, int64_t first_byte) = 0;
  virtual Status Take(std::string_view bytes) = 0;
};

class HubClient {
 public:
  using Say = std::function<void(const std::string&)>;

  // `say` is told, in a sentence, when something has to be waited for. `stop` may be null.
  static Result<std::unique_ptr<HubClient>> Create(const HubSettings& settings,
                                                   const std::atomic<bool>* stop, Say say);

  // Errors: kNotFound where the hub has no such thing or is out of reach, kDataLoss where what it
  // sends contradicts itself, kResourceExhausted where it has no time, kCancelled when stopped; the
  // sink's own as they are.
  Status Get(const HubRequest& request, HubSink* sink);
  Result<std::string> GetText(const HubRequest& request, size_t max_bytes);

  const HubSettings& settings() const { return settings_; }
  // Whether the hub could not be reached at all, so that what is on this machine is all there is.
  bool unreachable() const { return unreachable_; }

 private:
  HubClient(const HubSettings& settings, const std::atomic<bool>* stop, Say say);
  HttpReply Follow(const HubRequest& request, HubSink* sink, Status* status);
  Status OfFailure(const HttpReply& reply) const;
  Status OfAnswer(const HubRequest& request, const HttpReply& reply) const;
  Status OfRefusal(const HubRequest& request, const HttpReply& reply) const;
  bool WorthAnotherTry(const HttpReply& reply) const;
  Status Wait(double seconds, const std::string& why) const;
  bool Stopped() const { return stop_ != nullptr && *stop_; }

  const HubSettings settings_;
  const std::atomic<bool>* const stop_;
  const Say say_;
  std::unique_ptr<HttpClient> http_;
  std::string last_url_;   // that the last answer came from
  bool answered_ = false;  // the hub has answered at least once
  bool unreachable_ = false;
};

// What may stand in a URL's path; '/' is encoded too unless `keep_slashes`.
std::string UrlEncode(std::string_view text, bool keep_slashes);

}  // namespace cliptag
