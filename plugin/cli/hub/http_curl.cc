#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <chrono>

#include "plugin/cli/hub/http.h"

namespace cliptag {
namespace {

constexpr size_t kBodyKept = 4096;  // of an answer that is an error

struct SlistFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Slist = std::unique_ptr<curl_slist, SlistFree>;
using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

using Clock = std::chrono::steady_clock;

// What the callbacks of one request share.
struct Transfer {
  CURL* curl;
  HttpSink* sink;
  const std::atomic<bool>* stop;
  double stall_s;
  HttpReply reply;
  bool begun = false;
  bool refused = false;
  bool stalled = false;
  curl_off_t bytes = 0;  // that had come when last_byte was set
  Clock::time_point last_byte = Clock::now();

  bool HasBody() const { return reply.status == 200 || reply.status == 206; }
  bool Begin() {
    if (begun) return true;
    begun = true;
    refused = !sink->Begin(reply);
    return !refused;
  }
};

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  std::string_view line(data, size * count);
  while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) {
    line.remove_suffix(1);
  }
  if (line.starts_with("HTTP/")) {  // a new answer: what came before was "100 Continue"
    transfer.reply.headers.clear();
    long status = 0;
    curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
    transfer.reply.status = static_cast<int>(status);
  } else if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    transfer.reply.headers[name] = begin == std::string_view::npos ? "" : line.substr(begin);
  }
  return size * count;
}

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view bytes(data, size * count);
  if (!transfer.HasBody()) {
    std::string& body = transfer.reply.body;
    body.append(bytes.substr(0, kBodyKept - std::min(body.size(), kBodyKept)));
    return bytes.size();
  }
  if (!transfer.Begin()) return 0;
  if (transfer.sink->Take(bytes)) return bytes.size();
  transfer.refused = true;
  return 0;
}

// Called about once a second and with all that comes.
int OnProgress(void* user, curl_off_t, curl_off_t bytes, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (transfer.stop != nullptr && *transfer.stop) return 1;
  const auto now = Clock::now();
  if (bytes != transfer.bytes) {
    transfer.bytes = bytes;
    transfer.last_byte = now;
  }
  // Libcurl's own limit looks at the mean of several seconds.
  transfer.stalled =
      std::chrono::duration<double>(now - transfer.last_byte).count() > transfer.stall_s;
  return transfer.stalled ? 1 : 0;
}

HttpFailure FailureOf(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return HttpFailure::kNone;
    case CURLE_COULDNT_RESOLVE_HOST:
      return HttpFailure::kResolve;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
      return HttpFailure::kProxy;
    case CURLE_COULDNT_CONNECT:
      return HttpFailure::kConnect;
    case CURLE_OPERATION_TIMEDOUT:
      return HttpFailure::kTimeout;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_USE_SSL_FAILED:
      return HttpFailure::kTls;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return HttpFailure::kBroken;
    case CURLE_ABORTED_BY_CALLBACK:
      return HttpFailure::kStopped;
    default:
      return HttpFailure::kOther;
  }
}

class CurlClient : public HttpClient {
 public:
  CurlClient(Handle curl, const HubSettings& settings, const std::atomic<bool>* stop)
      : curl_(std::move(curl)), settings_(settings), stop_(stop) {}

  HttpReply Get(const HttpRequest& request, HttpSink* sink) override {
    Transfer transfer{.curl = curl_.get(),
                      .sink = sink,
                      .stop = stop_,
                      .stall_s = static_cast<double>(settings_.stall_s),
                      .reply = {}};
    char words[CURL_ERROR_SIZE] = "";
    const Slist headers = SetUp(request, &transfer, words);
    const CURLcode code = curl_easy_perform(curl_.get());
    HttpReply& reply = transfer.reply;
    reply.failure = transfer.refused ? HttpFailure::kSink : FailureOf(code);
    if (code == CURLE_OK && transfer.HasBody() && !transfer.Begin()) {  // an empty body
      reply.failure = HttpFailure::kSink;
    }
    reply.reason = words[0] != '\0' ? words : curl_easy_strerror(code);
    if (transfer.stalled) {
      reply.failure = HttpFailure::kTimeout;
      reply.reason = "nothing for " + std::to_string(settings_.stall_s) + " s";
    }
    long proxy_status = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (code != CURLE_OK && proxy_status >= 400) reply.failure = HttpFailure::kProxy;
    curl_off_t wait_s = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RETRY_AFTER, &wait_s);
    reply.retry_after_s = wait_s;
    const char* redirect = nullptr;
    curl_easy_getinfo(curl_.get(), CURLINFO_REDIRECT_URL, &redirect);
    if (redirect != nullptr) reply.redirect = redirect;
    curl_easy_setopt(curl_.get(), CURLOPT_ERRORBUFFER, nullptr);
    return std::move(reply);
  }

 private:
  // The headers must live as long as the request.
  Slist SetUp(const HttpRequest& request, Transfer* transfer, char* words) {
    CURL* curl = curl_.get();
    curl_easy_reset(curl);  // connections and names stay
    curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "cliptag/" CLIPTAG_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, settings_.answer_s);
    curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
    // Nothing compressed is asked for; what comes compressed all the same is unpacked.
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "identity");
    if (!settings_.ca_file.empty()) {
      curl_easy_setopt(curl, CURLOPT_CAINFO, settings_.ca_file.c_str());
    }
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, OnHeader);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnBody);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, OnProgress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
    if (request.first_byte > 0) {
      curl_easy_setopt(curl, CURLOPT_RANGE, (std::to_string(request.first_byte) + "-").c_str());
    }
    Slist headers;
    if (!request.token.empty()) {
      headers.reset(curl_slist_append(nullptr, ("Authorization: Bearer " + request.token).c_str()));
      curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    }
    return headers;
  }

  const Handle curl_;
  const HubSettings settings_;
  const std::atomic<bool>* const stop_;
};

}  // namespace

Result<std::unique_ptr<HttpClient>> HttpClient::Create(const HubSettings& settings,
                                                       const std::atomic<bool>* stop) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  Handle curl(ready == CURLE_OK ? curl_easy_init() : nullptr, &curl_easy_cleanup);
  if (curl == nullptr) return Internal("libcurl does not start.");
  return std::unique_ptr<HttpClient>(new CurlClient(std::move(curl), settings, stop));
}

}  // namespace cliptag
