#include "plugin/cli/hub/client.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

namespace cliptag {
namespace {

constexpr int kMostRedirects = 10;
constexpr int kTries = 4;              // without a byte more than the last one
constexpr double kFirstPause_s = 0.5;  // then twice as long each time
constexpr int64_t kLongestPause_s = 300;

// "https://host:port" of a URL.
std::string Origin(const std::string& url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string::npos) return "";
  std::string origin = url.substr(0, std::min(url.find_first_of("/?#", scheme + 3), url.size()));
  std::transform(origin.begin(), origin.end(), origin.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return origin;
}

std::string Host(const std::string& url) {
  const std::string origin = Origin(url);
  const size_t scheme = origin.find("://");
  return scheme == std::string::npos ? url : origin.substr(scheme + 3);
}

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string StatusText(int status) {
  static constexpr std::pair<int, const char*> kWords[] = {{400, "Bad Request"},
                                                           {401, "Unauthorized"},
                                                           {403, "Forbidden"},
                                                           {404, "Not Found"},
                                                           {408, "Request Timeout"},
                                                           {410, "Gone"},
                                                           {429, "Too Many Requests"},
                                                           {451, "Unavailable For Legal Reasons"},
                                                           {500, "Internal Server Error"},
                                                           {502, "Bad Gateway"},
                                                           {503, "Service Unavailable"},
                                                           {504, "Gateway Timeout"}};
  for (const auto& [number, words] : kWords) {
    if (number == status) return std::to_string(status) + " (" + words + ")";
  }
  return std::to_string(status);
}

// " through the proxy of $https_proxy", where libcurl would take one.
std::string ThroughProxy(const std::string& url) {
  const bool plain = url.starts_with("http://");
  for (const char* name : {plain ? "http_proxy" : "https_proxy", plain ? "" : "HTTPS_PROXY",
                           "all_proxy", "ALL_PROXY"}) {
    const char* value = *name != '\0' ? std::getenv(name) : nullptr;
    if (value != nullptr && *value != '\0') return std::string(" through the proxy of $") + name;
  }
  return "";
}

std::string Seconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g s", seconds);
  return text;
}

// Hands one connection's bytes to the sink, and keeps what the sink has against them.
class Connection : public HttpSink {
 public:
  Connection(HubSink* sink, int64_t first_byte, std::map<std::string, std::string> earlier)
      : sink_(sink), first_byte_(first_byte), earlier_(std::move(earlier)) {}

  bool Begin(const HttpReply& reply) override {
    HttpReply all = reply;
    all.headers.insert(earlier_.begin(), earlier_.end());
    status_ = sink_->Begin(all, reply.status == 206 ? first_byte_ : 0);
    return status_.ok();
  }
  bool Take(std::string_view bytes) override {
    status_ = sink_->Take(bytes);
    return status_.ok();
  }
  const Status& status() const { return status_; }

 private:
  HubSink* const sink_;
  const int64_t first_byte_;
  const std::map<std::string, std::string> earlier_;  // headers of the redirects
  Status status_;
};

class TextSink : public HubSink {
 public:
  TextSink(size_t max_bytes, std::string name) : max_bytes_(max_bytes), name_(std::move(name)) {}

  int64_t Have() const override { return 0; }
  Status Begin(const HttpReply&, int64_t) override {
    text.clear();
    return {};
  }
  Status Take(std::string_view bytes) override {
    if (text.size() + bytes.size() > max_bytes_) {
      return DataLoss(name_ + " is longer than the " + std::to_string(max_bytes_) +
                      " bytes that it may have.");
    }
    text += bytes;
    return {};
  }

  std::string text;

 private:
  const size_t max_bytes_;
  const std::string name_;
};

}  // namespace

std::string UrlEncode(std::string_view text, bool keep_slashes) {
  std::string out;
  char code[4];
  for (const unsigned char c : text) {
    if (std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~' ||
        (c == '/' && keep_slashes)) {
      out += static_cast<char>(c);
    } else {
      std::snprintf(code, sizeof(code), "%%%02X", c);
      out += code;
    }
  }
  return out;
}

Result<std::unique_ptr<HubClient>> HubClient::Create(const HubSettings& settings,
                                                     const std::atomic<bool>* stop, Say say) {
  std::unique_ptr<HubClient> client(new HubClient(settings, stop, std::move(say)));
  CLIPTAG_ASSIGN_OR_RETURN(client->http_, HttpClient::Create(settings, stop));
  return client;
}

HubClient::HubClient(const HubSettings& settings, const std::atomic<bool>* stop, Say say)
    : settings_(settings), stop_(stop), say_(std::move(say)) {}

// One try. `status` is what the sink has against it, or against where it is sent.
HttpReply HubClient::Follow(const HubRequest& request, HubSink* sink, Status* status) {
  std::map<std::string, std::string> earlier;
  last_url_ = settings_.endpoint + request.path;
  for (int hop = 0;; ++hop) {
    const bool to_hub = Origin(last_url_) == Origin(settings_.endpoint);
    const int64_t have = sink->Have();
    Connection connection(sink, have, earlier);
    HttpReply reply =
        http_->Get({last_url_, to_hub ? settings_.token : std::string(), have}, &connection);
    answered_ = answered_ || reply.status != 0;
    *status = connection.status();
    if (!status->ok() || reply.failure != HttpFailure::kNone || !IsRedirect(reply.status)) {
      return reply;
    }
    if (hop == kMostRedirects) {
      *status = InvalidArgument(Host(settings_.endpoint) +
                                " sends from one address to the next without " +
                                "end, at last to " + reply.redirect + ".");
      return reply;
    }
    const bool to_https = reply.redirect.starts_with("https://");
    const bool to_http = reply.redirect.starts_with("http://");
    if (!to_https && !(to_http && last_url_.starts_with("http://"))) {
      *status =
          InvalidArgument(Host(last_url_) + " sends to '" + reply.redirect +
                          "', which is not as safe as where it was asked; this is not followed.");
      return reply;
    }
    for (const auto& [name, value] : reply.headers) {
      if (name.starts_with("x-linked-") || name.starts_with("x-repo-")) earlier[name] = value;
    }
    last_url_ = reply.redirect;
  }
}

Status HubClient::OfFailure(const HttpReply& reply) const {
  const std::string host = Host(last_url_), why = " (" + reply.reason + ")";
  switch (reply.failure) {
    case HttpFailure::kStopped:
      return Cancelled("Stopped.");
    case HttpFailure::kResolve:
      return NotFound("The name " + host + " cannot be resolved: is there a network?" + why);
    case HttpFailure::kProxy:
      return NotFound("There is no way to " + host + ThroughProxy(last_url_) + why + ".");
    case HttpFailure::kConnect:
      return NotFound("There is no connection to " + host + ThroughProxy(last_url_) + why + ".");
    case HttpFailure::kTimeout:
      return reply.status == 0
                 ? NotFound(host + " does not answer" + ThroughProxy(last_url_) + why + ".")
                 : ResourceExhausted(host + " has stopped sending" + why + ".");
    case HttpFailure::kTls:
      return InvalidArgument("No secure connection to " + host + " comes about" + why +
                             "; SSL_CERT_FILE names a file of certificates to trust instead of " +
                             "the system's.");
    default:
      return ResourceExhausted("The connection to " + host + " broke off" + why + ".");
  }
}

// The hub says 401, 403 or 404; to who is not known it says 401 of what does not exist, too.
Status HubClient::OfRefusal(const HubRequest& request, const HttpReply& reply) const {
  const std::string code = reply.Header("x-error-code"), host = Host(settings_.endpoint);
  const std::string page = settings_.endpoint + "/" + request.id;
  const bool has_token = !settings_.token.empty();
  if (code == "GatedRepo") {
    return InvalidArgument(request.id + " is gated: accept its terms at " + page + ", " +
                           (has_token
                                ? "with the account of the token in " + settings_.token_source + "."
                                : "then set HF_TOKEN to a token of your account."));
  }
  if (code == "RevisionNotFound") {
    return NotFound(request.id + " has no revision '" + request.revision + "' on " + host + ".");
  }
  if (code == "EntryNotFound" || (reply.status == 404 && !request.file.empty())) {
    return NotFound(request.id + " on " + host + " has no file " + request.file + ".");
  }
  if (reply.status == 404) {
    return NotFound("There is no model '" + request.id + "' on " + host + ".");
  }
  if (reply.status == 401 && has_token) {
    return InvalidArgument(host + " does not take the token in " + settings_.token_source +
                           ", or there is no model '" + request.id +
                           "': set HF_TOKEN to a valid one, or to nothing.");
  }
  if (reply.status == 403 && has_token) {
    return InvalidArgument("The token in " + settings_.token_source + " may not read " +
                           request.id + ": see " + page + ".");
  }
  return InvalidArgument(host + " gives '" + request.id +
                         "' to nobody unknown: it is not there, private or gated; if you may read "
                         "it, set HF_TOKEN to your token.");
}

Status HubClient::OfAnswer(const HubRequest& request, const HttpReply& reply) const {
  const bool from_hub = Origin(last_url_) == Origin(settings_.endpoint);
  const std::string host = Host(last_url_), what = StatusText(reply.status);
  const std::string subject = request.file.empty() ? request.id : request.file;
  switch (reply.status) {
    case 401:
    case 403:
    case 404:
      if (from_hub) return OfRefusal(request, reply);
      return NotFound(host + ", where the hub sends for " + subject + ", answers " + what + ".");
    case 416:
      return DataLoss(host + " has less of " + subject + " than the hub says.");
    case 429:
      return ResourceExhausted(host + " answers " + what +
                               (settings_.token.empty()
                                    ? ": try again later, or set HF_TOKEN, which allows more."
                                    : ": try again later."));
    default:
      return ResourceExhausted(host + " answers " + what + " when asked for " + subject +
                               (reply.status >= 500 ? "; try again later." : "."));
  }
}

// Whether a moment later may be better. What never worked is not tried again: who has no network
// wants to know at once.
bool HubClient::WorthAnotherTry(const HttpReply& reply) const {
  switch (reply.failure) {
    case HttpFailure::kNone:
      return reply.status == 408 || reply.status == 429 || reply.status >= 500;
    case HttpFailure::kBroken:
      return true;
    case HttpFailure::kResolve:
    case HttpFailure::kConnect:
    case HttpFailure::kTimeout:
    case HttpFailure::kOther:
      return answered_;
    default:
      return false;
  }
}

Status HubClient::Wait(double seconds, const std::string& why) const {
  using Clock = std::chrono::steady_clock;
  if (say_) say_(why + " Next try in " + Seconds(seconds) + ".");
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    if (Stopped()) return Cancelled("Stopped.");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return {};
}

Status HubClient::Get(const HubRequest& request, HubSink* sink) {
  int64_t furthest = sink->Have();
  for (int tries = 1;; ++tries) {
    Status status;
    const HttpReply reply = Follow(request, sink, &status);
    const bool done = reply.status == 200 || reply.status == 206;
    if (!status.ok() || (done && reply.failure == HttpFailure::kNone)) return status;
    status = reply.failure == HttpFailure::kNone ? OfAnswer(request, reply) : OfFailure(reply);
    if (sink->Have() > furthest) tries = 1;
    furthest = std::max(furthest, sink->Have());
    if (!WorthAnotherTry(reply) || tries == kTries) {
      unreachable_ = !answered_ && reply.failure != HttpFailure::kStopped &&
                     reply.failure != HttpFailure::kTls;
      return status;
    }
    if (reply.retry_after_s > kLongestPause_s) {
      return ResourceExhausted(Host(last_url_) + " answers " + StatusText(reply.status) +
                               " and asks to come back in " + std::to_string(reply.retry_after_s) +
                               " s.");
    }
    const double pause_s = kFirstPause_s * (1 << (tries - 1));
    CLIPTAG_RETURN_IF_ERROR(
        Wait(std::max(pause_s, static_cast<double>(reply.retry_after_s)), status.message()));
  }
}

Result<std::string> HubClient::GetText(const HubRequest& request, size_t max_bytes) {
  TextSink sink(max_bytes, "What " + Host(settings_.endpoint) + " says of " + request.id);
  CLIPTAG_RETURN_IF_ERROR(Get(request, &sink));
  return std::move(sink.text);
}

}  // namespace cliptag
