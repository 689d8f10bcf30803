#include "plugin/cli/hub/settings.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <regex>

#include "models/io/json.h"
#include "models/io/trim.h"

namespace cliptag {
namespace {

// The value of the first of these variables that is set and not empty.
std::string Environment(std::initializer_list<const char*> names, std::string* which = nullptr) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    if (which != nullptr) *which = name;
    return value;
  }
  return "";
}

bool Printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 32 && c < 127; });
}

// "~" and "~NAME" at the beginning of a path; as it is where no such user has a home.
std::string ExpandUser(const std::string& path) {
  if (!path.starts_with("~")) return path;
  const size_t end = std::min(path.find('/'), path.size());
  const std::string user = path.substr(1, end - 1);
  std::string home = user.empty() ? Environment({"HOME"}) : "";
  if (home.empty()) {
    char names[4096];
    passwd entry{}, *found = nullptr;
    user.empty() ? getpwuid_r(getuid(), &entry, names, sizeof(names), &found)
                 : getpwnam_r(user.c_str(), &entry, names, sizeof(names), &found);
    if (found == nullptr || found->pw_dir == nullptr) return path;
    home = found->pw_dir;
  }
  while (home.ends_with("/")) home.pop_back();
  return home + path.substr(end);
}

// "$NAME" and "${NAME}"; variables that are not set stay as they are.
std::string ExpandVariables(const std::string& path) {
  static const std::regex kVariable(R"(\$(\w+|\{[^{}]*\}))");
  std::string out;
  auto rest = path.begin();
  for (std::sregex_iterator it(path.begin(), path.end(), kVariable), end; it != end; ++it) {
    std::string name = (*it)[1];
    if (name.front() == '{') name = name.substr(1, name.size() - 2);
    const char* value = std::getenv(name.c_str());
    out.append(rest, (*it)[0].first).append(value != nullptr ? value : it->str());
    rest = (*it)[0].second;
  }
  return out.append(rest, path.end());
}

// Paths in these variables often come from files that no shell reads (.env, systemd, compose):
// huggingface_hub expands them, in this order.
std::string EnvironmentPath(std::initializer_list<const char*> names) {
  return ExpandVariables(ExpandUser(Environment(names)));
}

std::string HuggingFaceHome() {
  if (std::string home = EnvironmentPath({"HF_HOME"}); !home.empty()) return home;
  if (const std::string cache = EnvironmentPath({"XDG_CACHE_HOME"}); !cache.empty()) {
    return cache + "/huggingface";
  }
  const std::string home = Environment({"HOME"});
  return home.empty() ? "" : home + "/.cache/huggingface";
}

Status ReadToken(const std::string& home, HubSettings* settings) {
  settings->token =
      Trim(Environment({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}, &settings->token_source));
  if (settings->token.empty()) {
    std::string path = EnvironmentPath({"HF_TOKEN_PATH"});
    if (path.empty() && !home.empty()) path = home + "/token";
    std::error_code error;
    if (path.empty() || !std::filesystem::is_regular_file(path, error)) return {};
    CLIPTAG_ASSIGN_OR_RETURN(const std::string content, ReadFile(path, 1 << 16));
    settings->token = Trim(content);
    settings->token_source = path;
  }
  if (!Printable(settings->token)) {
    return InvalidArgument("The token in " + settings->token_source +
                           " holds a space or a character that no token has.");
  }
  return {};
}

Status ReadSeconds(const char* name, long* seconds) {
  const std::string text = Environment({name});
  if (text.empty()) return {};
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end != '\0' || !(value > 0 && value <= 86400)) {
    return InvalidArgument(std::string(name) + " is '" + text +
                           "'; it takes a number of seconds, such as 10.");
  }
  *seconds = static_cast<long>(std::ceil(value));
  return {};
}

}  // namespace

Result<HubSettings> ReadHubSettings() {
  HubSettings settings;
  settings.endpoint = Environment({"HF_ENDPOINT"});
  if (settings.endpoint.empty()) settings.endpoint = kHuggingFace;
  const std::string& endpoint = settings.endpoint;
  const bool web = endpoint.starts_with("https://") || endpoint.starts_with("http://");
  if (!web || !Printable(endpoint) || endpoint.find_first_of("?#@") != std::string::npos) {
    return InvalidArgument("HF_ENDPOINT is '" + endpoint +
                           "', which is no address of a hub such as " + kHuggingFace + ".");
  }
  while (settings.endpoint.ends_with("/")) settings.endpoint.pop_back();

  const std::string home = HuggingFaceHome();
  CLIPTAG_RETURN_IF_ERROR(ReadToken(home, &settings));
  settings.cache = EnvironmentPath({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  if (settings.cache.empty() && !home.empty()) settings.cache = home + "/hub";
  std::string offline = Environment({"HF_HUB_OFFLINE"});
  for (char& c : offline) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  settings.offline = offline == "1" || offline == "ON" || offline == "YES" || offline == "TRUE";
  CLIPTAG_RETURN_IF_ERROR(ReadSeconds("HF_HUB_ETAG_TIMEOUT", &settings.answer_s));
  CLIPTAG_RETURN_IF_ERROR(ReadSeconds("HF_HUB_DOWNLOAD_TIMEOUT", &settings.stall_s));
  settings.ca_file = Environment({"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"});
  return settings;
}

}  // namespace cliptag
