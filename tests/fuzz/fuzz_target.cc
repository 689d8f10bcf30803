#include "tests/fuzz/fuzz_target.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/targets.h"

namespace cliptag {
namespace {

constexpr FuzzTarget kTargets[] = {
    {"config", ReadFuzzedConfig, ConfigSeeds},
    {"pieces", ReadFuzzedPieces, PiecesSeeds},
    {"prompts", ReadFuzzedPrompts, PromptsSeeds},
    {"safetensors", ReadFuzzedSafetensors, SafetensorsSeeds},
    {"tokenizer", ReadFuzzedTokenizer, TokenizerSeeds},
    {"torch", ReadFuzzedTorch, TorchSeeds},
};
constexpr std::string_view kMark = "=== ", kNextMark = "\n=== ";

}  // namespace

std::span<const FuzzTarget> FuzzTargets() { return kTargets; }

const FuzzTarget* FindFuzzTarget(std::string_view name) {
  for (const FuzzTarget& target : kTargets) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "It does not hold that %s.\n", what);
  std::abort();
}

void RequireReason(const Status& status) {
  Require(!status.ok(), "what is refused is refused by an error");
  Require(status.message().size() > 1 && status.message().back() == '.', "a refusal is a sentence");
}

Status Refused(const Status& status) {
  RequireReason(status);
  return status;
}

FuzzFolder::FuzzFolder() {
  path_ = (std::filesystem::temp_directory_path() / "cliptag-fuzz.XXXXXX").string();
  Require(mkdtemp(path_.data()) != nullptr, "a folder can be made for temporary files");
}

FuzzFolder::~FuzzFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

void FuzzFolder::Write(std::string_view name, std::string_view content) const {
  std::ofstream out(File(name), std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  Require(out.flush().good(), "temporary files can be written");
}

int FuzzFolder::WriteParts(std::string_view text, std::span<const std::string_view> names) const {
  for (const std::string_view name : names) {
    std::error_code error;
    std::filesystem::remove(File(name), error);
  }
  int written = 0;
  std::string_view name = names.front();
  while (true) {
    size_t end = text.starts_with(kMark) ? 0 : text.find(kNextMark);
    if (end != 0 && end != std::string_view::npos) ++end;  // the newline is the part's own
    for (const std::string_view known : names) {
      if (name != known || end == 0) continue;
      Write(name, text.substr(0, end));
      ++written;
    }
    if (end == std::string_view::npos) return written;
    text.remove_prefix(end + kMark.size());
    const size_t line = std::min(text.find('\n'), text.size());
    name = text.substr(0, line);
    text.remove_prefix(std::min(line + 1, text.size()));
  }
}

std::string Part(std::string_view name, std::string_view content) {
  std::string out(kMark);
  out.append(name).append("\n").append(content);
  if (!out.ends_with('\n')) out += '\n';
  return out;
}

std::string ReadSource(const std::string& path) {
  std::ifstream in(std::string(CLIPTAG_FUZZ_SOURCE) + "/" + path, std::ios::binary);
  const std::string content(std::istreambuf_iterator<char>(in), {});
  if (content.empty()) std::fprintf(stderr, "%s: ", path.c_str());
  Require(!content.empty(), "the files that seeds are made of are there");
  return content;
}

}  // namespace cliptag
