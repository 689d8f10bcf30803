#include "plugin/cli/hub/repository.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <set>
#include <utility>
#include <vector>

#include "models/io/json.h"
#include "plugin/cli/hub/settings.h"

namespace cliptag {
namespace {

constexpr size_t kLongestId = 96;          // the hub's own limit
constexpr int64_t kLargestText = 1 << 20;  // of README and LICENSE

bool IdCharacter(unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; }

bool IsIdPart(std::string_view part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), IdCharacter) &&
         part.front() != '-' && part.front() != '.' && part.back() != '-' && part.back() != '.' &&
         part.find("..") == std::string_view::npos && part.find("--") == std::string_view::npos;
}

bool IsId(std::string_view id) {
  const size_t slash = id.find('/');
  if (id.size() > kLongestId) return false;
  if (slash == std::string_view::npos) return IsIdPart(id);
  return IsIdPart(id.substr(0, slash)) && IsIdPart(id.substr(slash + 1));
}

// "onnx/model.onnx", but not "../x", "/x", "a//b", "a\b" nor anything with control characters.
bool StaysInside(std::string_view path) {
  if (path.empty() || path.size() > 4096) return false;
  for (const unsigned char c : path) {
    if (c < 32 || c == 127 || c == '\\') return false;
  }
  while (true) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

std::string Shown(std::string_view name) {
  std::string out;
  for (const unsigned char c : name.substr(0, 100)) out += c < 32 || c == 127 ? '?' : char(c);
  return out;
}

std::string StringAt(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

int64_t SizeAt(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_number_unsigned() &&
                 it->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)
             ? it->get<int64_t>()
             : -1;
}

HubFile ReadFileEntry(const Json& entry, const std::string& name) {
  HubFile file{.name = name, .size = SizeAt(entry, "size"), .hash = StringAt(entry, "blobId")};
  if (const auto lfs = entry.find("lfs"); lfs != entry.end() && lfs->is_object()) {
    file.hash = StringAt(*lfs, "sha256");
    if (file.hash.empty()) file.hash = StringAt(*lfs, "oid");
    if (const int64_t size = SizeAt(*lfs, "size"); size >= 0) file.size = size;
  }
  if (!IsHash(file.hash)) file.hash.clear();
  return file;
}

// "refs%2Fpr%2F3" as "refs/pr/3"; what is no escape stays.
std::string UrlDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const char* const digits = text.data() + i + 1;
    if (text[i] == '%' && text.size() - i > 2 &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string_view WithoutScheme(std::string_view address) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (address.starts_with(scheme)) address.remove_prefix(scheme.size());
  }
  return address;
}

// What follows the host in an address of the hub, without its query; empty where it is none.
std::string PathOfPage(const std::string& text, const std::string& endpoint) {
  constexpr std::string_view kFileSystem = "hf://";  // huggingface_hub's and DuckDB's
  const std::string lower = Lower(text), hub = Lower(endpoint);
  if (lower.starts_with(kFileSystem)) return text.substr(kFileSystem.size());
  const std::string_view page = WithoutScheme(lower);
  for (const std::string_view host :
       {WithoutScheme(hub), WithoutScheme(kHuggingFace), std::string_view("www.huggingface.co"),
        std::string_view("hf.co")}) {
    if (!page.starts_with(std::string(host) + "/")) continue;
    std::string path = text.substr(text.size() - page.size() + host.size() + 1);
    path.resize(std::min(path.size(), path.find_first_of("?#")));
    return path;
  }
  return "";
}

// "ID" or "ID@REVISION" of what people copy: the address of the model's page, of a file or a commit
// there, and open_clip's "hf-hub:ID". Any other text as it is.
std::string NameOfPage(const std::string& text, const std::string& endpoint) {
  constexpr std::string_view kOpenClip = "hf-hub:", kGit = ".git";
  constexpr std::string_view kWithRevision[] = {"tree",  "blob",   "resolve", "raw",
                                                "blame", "commit", "commits"};
  if (text.starts_with(kOpenClip)) return text.substr(kOpenClip.size());
  std::vector<std::string> parts;
  const std::string path = PathOfPage(text, endpoint);
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (end > at) parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  if (parts.empty()) return text;
  std::string name = UrlDecode(parts[0]);
  // Old models have no organisation; what follows is then the kind of page.
  const auto is_kind = [&](size_t i) {
    return i + 1 < parts.size() && std::find(std::begin(kWithRevision), std::end(kWithRevision),
                                             parts[i]) != std::end(kWithRevision);
  };
  size_t next = 1;
  if (next < parts.size() && !is_kind(next)) name += "/" + UrlDecode(parts[next++]);
  if (name.ends_with(kGit)) name.resize(name.size() - kGit.size());
  if (is_kind(next)) return name + "@" + UrlDecode(parts[next + 1]);
  return next == parts.size() ? name : text;
}

// What is no file of weights is bounded, so that a hub cannot fill the disk before it is known
// whether the repository holds a CLIP.
Status CheckSmall(const HubRepository& repository, const HubFile& file) {
  if (file.size <= kLargestSmallFile) return {};
  return DataLoss("The hub says that " + file.name + " of " + repository.id + " has " +
                  std::to_string(file.size) + " bytes, more than the " +
                  std::to_string(kLargestSmallFile) + " that such a file may have.");
}

// Weights by name, and the layout that they are of.
struct Candidate {
  const char* name;
  Layout layout;
};
constexpr Candidate kCandidates[] = {
    {"open_clip_model.safetensors", Layout::kOpenClip},
    {"open_clip_pytorch_model.safetensors", Layout::kOpenClip},
    {"open_clip_model.safetensors.index.json", Layout::kOpenClip},
    {"model.safetensors", Layout::kHuggingFace},
    {"model.safetensors.index.json", Layout::kHuggingFace},
    {"open_clip_pytorch_model.bin", Layout::kOpenClip},
    {"open_clip_pytorch_model.bin.index.json", Layout::kOpenClip},
    {"open_clip_model.bin", Layout::kOpenClip},
    {"pytorch_model.bin", Layout::kHuggingFace},
    {"pytorch_model.bin.index.json", Layout::kHuggingFace},
};

const char* ConfigOf(Layout layout) {
  return layout == Layout::kOpenClip ? "open_clip_config.json" : "config.json";
}

}  // namespace

const HubFile* HubRepository::Find(std::string_view name) const {
  const auto it = std::find_if(files.begin(), files.end(),
                               [&](const HubFile& file) { return file.name == name; });
  return it == files.end() ? nullptr : &*it;
}

Status ParseHubName(const std::string& text, const std::string& endpoint, std::string* id,
                    std::string* revision) {
  const std::string name = NameOfPage(text, endpoint);
  const size_t at = name.find('@');
  *id = name.substr(0, at);
  revision->assign(at == std::string::npos ? "main" : name.c_str() + at + 1);
  if (!IsId(*id)) {
    const std::string shown = Shown(text);
    return InvalidArgument("'" + shown +
                           "' is no model of a hub: ORG/NAME is wanted, as in "
                           "wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M, with @REVISION behind it "
                           "where it matters.");
  }
  const auto printable = [](unsigned char c) { return c > 32 && c < 127; };
  if (revision->empty() || revision->size() > 255 ||
      !std::all_of(revision->begin(), revision->end(), printable) ||
      revision->find("..") != std::string::npos) {
    const std::string shown = Shown(*revision);
    return InvalidArgument("'" + shown +
                           "' is no revision: a branch, a tag or a commit is wanted after the @.");
  }
  return {};
}

bool IsPlainFileName(std::string_view name) {
  return StaysInside(name) && name.find('/') == std::string_view::npos && name.front() != '.' &&
         name.size() <= 200;
}

bool IsHash(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<HubRepository> ParseRepository(std::string_view json, const std::string& id,
                                      const std::string& revision) {
  const std::string name = "what the hub says of " + id;
  CLIPTAG_ASSIGN_OR_RETURN(const Json root, ParseJson(json, name));
  HubRepository repository{.id = id, .revision = revision, .commit = {}, .files = {}};
  const auto siblings = root.is_object() ? root.find("siblings") : root.end();
  if (siblings == root.end() || !siblings->is_array()) {
    return DataLoss("The hub does not tell which files " + id + " has: is HF_ENDPOINT a hub?");
  }
  repository.commit = StringAt(root, "sha");
  if (!IsHash(repository.commit)) {
    return DataLoss("The hub does not tell which commit '" + revision + "' of " + id + " is.");
  }
  for (const Json& entry : *siblings) {
    const std::string path = entry.is_object() ? StringAt(entry, "rfilename") : std::string();
    if (!StaysInside(path)) {
      return DataLoss("The hub names a file '" + Shown(path) + "' of " + id +
                      ", which is no path within a repository; nothing of it is taken.");
    }
    if (IsPlainFileName(path)) repository.files.push_back(ReadFileEntry(entry, path));
  }
  return repository;
}

Result<std::vector<HubFile>> ReadShards(const std::string& index, const HubRepository& repository) {
  CLIPTAG_ASSIGN_OR_RETURN(const Json root, ReadJsonFile(index));
  const auto map = root.is_object() ? root.find("weight_map") : root.end();
  if (map == root.end() || !map->is_object() || map->empty()) {
    return DataLoss(index + " has no weight_map that names the files of weights.");
  }
  std::set<std::string> names;
  for (const Json& shard : *map) names.insert(shard.is_string() ? shard.get<std::string>() : "");
  std::vector<HubFile> files;
  for (const std::string& name : names) {
    const HubFile* file = repository.Find(name);
    if (file == nullptr) {
      return DataLoss(index + " names a file '" + Shown(name) + "', which " + repository.id +
                      " does not have.");
    }
    files.push_back(*file);
  }
  return files;
}

bool GoesWithModel(const HubFile& file) {
  static constexpr std::array<const char*, 11> kNames = {"vocab.json",
                                                         "added_tokens.json",
                                                         "merges.txt",
                                                         "tokenizer.json",
                                                         "tokenizer_config.json",
                                                         "tokenizer.model",
                                                         "spiece.model",
                                                         "special_tokens_map.json",
                                                         "preprocessor_config.json",
                                                         "processor_config.json",
                                                         "sentencepiece.bpe.model"};
  static constexpr std::array<const char*, 5> kTexts = {"README", "LICENSE", "LICENCE", "NOTICE",
                                                        "MODEL_CARD"};
  const auto begins = [&](const char* text) { return file.name.starts_with(text); };
  if (std::any_of(kTexts.begin(), kTexts.end(), begins)) return file.size <= kLargestText;
  return file.size <= kLargestSmallFile &&
         std::find(kNames.begin(), kNames.end(), file.name) != kNames.end();
}

Result<HubPlan> PlanFiles(const HubRepository& repository) {
  const bool open_clip = repository.Find(ConfigOf(Layout::kOpenClip)) != nullptr;
  const bool hugging_face = repository.Find(ConfigOf(Layout::kHuggingFace)) != nullptr;
  if (!open_clip && !hugging_face) {
    return NotFound(repository.id +
                    " holds no CLIP: it has neither config.json nor open_clip_config.json.");
  }
  for (const Candidate& candidate : kCandidates) {
    const HubFile* weights = repository.Find(candidate.name);
    if (weights == nullptr) continue;
    // Without a config.json the plain names are open_clip's.
    const Layout layout = hugging_face ? candidate.layout : Layout::kOpenClip;
    const HubFile* config = repository.Find(ConfigOf(layout));
    if (config == nullptr) continue;
    CLIPTAG_RETURN_IF_ERROR(CheckSmall(repository, *config));
    HubPlan plan{.layout = layout, .small = {*config}, .weights = {}, .index = {}};
    if (weights->name.ends_with(".index.json")) {
      CLIPTAG_RETURN_IF_ERROR(CheckSmall(repository, *weights));
      plan.index = weights->name;
      plan.small.push_back(*weights);
    } else {
      plan.weights = *weights;
    }
    for (const HubFile& file : repository.files) {
      if (GoesWithModel(file)) plan.small.push_back(file);
    }
    return plan;
  }
  return NotFound(repository.id +
                  " has no weights that cliptag reads (model.safetensors, "
                  "open_clip_model.safetensors, shards with an index, or pytorch_model.bin).");
}

}  // namespace cliptag
