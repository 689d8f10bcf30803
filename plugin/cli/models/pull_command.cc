// cliptag models pull: a model from a hub.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <system_error>

#include "models/config/config.h"
#include "models/config/find_model.h"
#include "plugin/cli/bench/measure.h"
#include "plugin/cli/command_line.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/hub/pull.h"
#include "plugin/cli/models/model_facts.h"

namespace cliptag {
namespace {

constexpr int kInterrupted = 130;        // as the shell says of what Ctrl-C has ended
constexpr double kLineEvery_ms = 10000;  // where there is no terminal

std::atomic<bool> stop_asked{false};

// The first Ctrl-C ends the pull in good order, the second one at once.
void StopOnSignals() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_asked = true; };
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  for (const int number : {SIGINT, SIGTERM}) sigaction(number, &action, nullptr);
}

const char* Whence(PullSource source) {
  switch (source) {
    case PullSource::kEarlier:
      return "  (was here)";
    case PullSource::kHuggingFaceCache:
      return "  (from Hugging Face's cache)";
    default:
      return "";
  }
}

class PullProgress : public PullObserver {
 public:
  void Said(const std::string& sentence) override { PrintNote(sentence); }

  void Advanced(const std::string& file, int64_t bytes, int64_t total) override {
    const double now_ms = NowMs();
    if (file != file_) {
      file_ = file;
      begin_ms_ = line_ms_ = now_ms;
      begin_bytes_ = bytes;
    }
    if (Progress::OnTerminal()) {
      progress_.Show(file + " " + Bar(bytes, total) + Amount(bytes, total, now_ms));
    } else if (now_ms - line_ms_ >= kLineEvery_ms) {
      line_ms_ = now_ms;
      PrintNote(file + ": " + Amount(bytes, total, now_ms));
    }
  }

  void Took(const std::string& file, int64_t bytes, PullSource source) override {
    progress_.Clear();
    std::cout << file << "  " << SizeText(bytes) << Whence(source) << std::endl;
  }

 private:
  static std::string Bar(int64_t bytes, int64_t total) {
    constexpr int kCells = 24;
    if (total <= 0) return "";
    const auto full = static_cast<int>(kCells * std::min(bytes, total) / total);
    return "[" + std::string(full, '#') + std::string(kCells - full, '.') + "] ";
  }

  // "45.1 MB of 94.2 MB, 12.3 MB/s, 4 s left"
  std::string Amount(int64_t bytes, int64_t total, double now_ms) const {
    std::string text = SizeText(bytes);
    if (total > 0) text += " of " + SizeText(total);
    const double seconds = (now_ms - begin_ms_) / 1000;
    const double rate = seconds > 0.5 ? static_cast<double>(bytes - begin_bytes_) / seconds : 0;
    if (rate < 1) return text;
    text += ", " + SizeText(static_cast<int64_t>(rate)) + "/s";
    if (total <= bytes) return text;
    return text + ", " + std::to_string(static_cast<int64_t>((total - bytes) / rate) + 1) +
           " s left";
  }

  Progress progress_;
  std::string file_;
  double begin_ms_ = 0, line_ms_ = 0;
  int64_t begin_bytes_ = 0;
};

void PrintPlan(const PulledModel& model) {
  int64_t total = 0;
  for (const auto& [name, bytes] : model.files) {
    std::cout << name << "  " << (bytes < 0 ? "size unknown" : SizeText(bytes)) << '\n';
    total += std::max<int64_t>(bytes, 0);
  }
  std::cout << model.id << ", " << model.revision << " = " << model.commit << ": "
            << SizeText(total) << (model.was_there ? ", here already as " : " for ")
            << model.directory << '\n';
}

// A model of the same name may lie where names are looked up earlier.
void WarnIfHidden(const PulledModel& model) {
  const Result<std::string> found = FindModel(model.name);
  std::error_code error;
  if (!found.ok() || std::filesystem::equivalent(*found, model.directory, error)) return;
  PrintWarning("model=" + model.name + " is " + *found +
               ", which is looked at first; this one is named by its directory, or pulled with "
               "another --name");
}

int PullCommand(PullRequest request) {
  StopOnSignals();
  request.stop = &stop_asked;
  PullProgress progress;
  const Result<PulledModel> model = PullModel(request, &progress);
  if (!model.ok()) {
    const int code = ExitCode(model.status());
    return model.status().code() == StatusCode::kCancelled ? kInterrupted : code;
  }
  if (request.look_only) {
    PrintPlan(*model);
  } else {
    std::cout << (model->was_there ? "up to date: " : "ready: ") << "model=" << model->name << "  ("
              << model->directory << ")\n";
    WarnIfHidden(*model);
  }
  return ExitCode(FlushOutput());
}

}  // namespace

void AddPullCommand(CLI::App& models, Command* chosen) {
  CLI::App* command = models.add_subcommand("pull", "Get a model from a hub");
  auto request = std::make_shared<PullRequest>();
  command
      ->add_option("ID", request->id,
                   "Its name there, ORG/NAME or ORG/NAME@REVISION, or the address of its page")
      ->required()
      ->option_text("ORG/NAME[@REVISION]");
  command->add_option("--name", request->name, "What it will be called here")
      ->option_text("NAME [the hub's]");
  command->add_flag("--dry-run", request->look_only, "Show what would be taken, and take nothing");
  command->footer(
      "The model comes into the user's cache, ~/.cache/cliptag/models, where model=NAME finds it.\n"
      "What was interrupted goes on where it ended; every file is checked. Environment: "
      "HF_ENDPOINT\n"
      "(another hub), HF_TOKEN or the token that `hf auth login` has left, HF_HOME and "
      "HF_HUB_CACHE\n"
      "(what is in Hugging Face's own cache is linked from there), HF_HUB_OFFLINE, "
      "HF_HUB_ETAG_TIMEOUT,\n"
      "HF_HUB_DOWNLOAD_TIMEOUT, SSL_CERT_FILE, https_proxy.\n\n"
      "Examples:\n"
      "  cliptag models pull wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M\n"
      "  cliptag models pull timm/vit_base_patch32_clip_224.openai --name vit-b-32");
  command->callback([request, chosen] { *chosen = [request] { return PullCommand(*request); }; });
}

}  // namespace cliptag
