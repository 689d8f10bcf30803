// cliptag bench: how fast a stage is here.
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "plugin/cli/bench_stages.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/measure.h"
#include "plugin/cli/options.h"

namespace cliptag {
namespace {

struct BenchOptions {
  ModelOptions model;
  BenchShape shape;
  std::string stage = "encode";
  double seconds = 3;
  bool json = false;
};

struct BenchResult {
  Timing timing;
  double ready_ms = 0;
  double images_per_second = 0;
  double rss_mb = 0, anonymous_mb = 0;  // with the model loaded
  BackendInfo backend;
};

Result<BenchResult> Bench(const BenchOptions& options) {
  BenchResult result;
  const double begin_ms = NowMs();
  CLIPTAG_ASSIGN_OR_RETURN(const LoadedModel session, LoadSession(options.model));
  if (options.stage != "text") {
    CLIPTAG_RETURN_IF_ERROR(session.model->image().Setup(options.shape.batch));
  }
  const double loaded_ms = NowMs();
  CLIPTAG_ASSIGN_OR_RETURN(const auto stage,
                           MakeBenchStage(options.stage, *session.model, options.shape));
  // Making up frames is no part of getting ready, the first call (which may still plan) is.
  const double first_ms = NowMs();
  CLIPTAG_RETURN_IF_ERROR(stage->Run(0));
  result.ready_ms = loaded_ms - begin_ms + NowMs() - first_ms;
  Progress progress;
  progress.Show("measuring for " + std::to_string(options.seconds) + " s");
  CLIPTAG_ASSIGN_OR_RETURN(result.timing,
                           Measure([&](int64_t i) { return stage->Run(i); }, options.seconds));
  result.images_per_second = 1000.0 * options.shape.batch / result.timing.median_ms();
  result.backend = session.backend->info();
  result.rss_mb = ResidentMb();
  result.anonymous_mb = AnonymousMb();
  return result;
}

void PrintJson(const BenchOptions& options, const BenchResult& result) {
  nlohmann::ordered_json json;
  json["images_per_second"] = result.images_per_second;
  json["latency_ms"] = {{"median", result.timing.median_ms()}, {"p99", result.timing.p99_ms()}};
  json["backend"] = result.backend.name;
  json["precision"] = ToString(result.backend.precision);
  json["batch"] = options.shape.batch;
  json["ready_ms"] = result.ready_ms;
  json["rss_mb"] = result.rss_mb;
  json["anonymous_mb"] = result.anonymous_mb;
  json["products"] = result.backend.products;
  std::cout << json.dump(1) << '\n';
}

void PrintTable(const BenchOptions& options, const BenchResult& result) {
  const bool raw = options.stage == "preprocess" || options.stage == "all";
  std::cout << options.stage << " of model " << options.model.model << ", batch "
            << options.shape.batch;
  if (raw) {
    std::cout << ", " << options.shape.format << " " << options.shape.width << "x"
              << options.shape.height;
  }
  std::cout << "\n  on           " << result.backend.name << ", "
            << ToString(result.backend.precision) << ", " << result.backend.description << '\n';
  char text[256];
  std::snprintf(text, sizeof(text),
                "  %-12s %.1f\n  latency      %.2f ms median, %.2f ms p99, %zu calls\n"
                "  ready after  %.0f ms\n  memory       %.0f MB resident\n",
                options.stage == "text" ? "texts/s" : "images/s", result.images_per_second,
                result.timing.median_ms(), result.timing.p99_ms(), result.timing.call_ms.size(),
                result.ready_ms, result.rss_mb);
  std::cout << text;
  for (const std::string& line : result.backend.products) {
    std::cout << "  product      " << line << '\n';
  }
}

int RunBench(const BenchOptions& options) {
  const Result<BenchResult> result = Bench(options);
  if (!result.ok()) return Fail(result.status());
  if (options.json) {
    PrintJson(options, *result);
  } else {
    PrintTable(options, *result);
  }
  const Status written = FlushOutput();
  return written.ok() ? 0 : Fail(written);
}

}  // namespace

void AddBenchCommand(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Measure how fast a model runs here");
  command
      ->add_option("--stage", options->stage,
                   "encode: prepared tensor to embeddings; preprocess: raw frames to tensor; text: "
                   "texts to embeddings; all: raw frames to tags")
      ->check(CLI::IsMember({"encode", "preprocess", "text", "all"}))
      ->option_text("NAME [encode]");
  command->add_option("--batch", options->shape.batch, "Frames (or texts) per call")
      ->check(CLI::Range(1, 1024))
      ->option_text("N [1]");
  command->add_option("--seconds", options->seconds, "How long to measure")
      ->check(FiniteRange(0, 3600))
      ->option_text("S [3]");
  command->add_option("--format", options->shape.format, "Of the raw frames, as GStreamer calls it")
      ->option_text("NAME [NV12]");
  constexpr int kLargestEdge = 16384;
  command->add_option("--width", options->shape.width, "Of the raw frames")
      ->check(CLI::Range(1, kLargestEdge))
      ->option_text("N [1920]");
  command->add_option("--height", options->shape.height, "Of the raw frames")
      ->check(CLI::Range(1, kLargestEdge))
      ->option_text("N [1080]");
  command->add_flag("--json", options->json, "Print JSON");
  AddModelOptions(*command, &options->model);
  command->footer(
      "After a warm-up every call recomputes the whole batch, from inputs that rotate. "
      "images_per_second\n"
      "is the batch over the median call; ready_ms the time from loading to the end of the first "
      "call.\n\n"
      "Examples:\n"
      "  cliptag bench --batch 8 --seconds 5\n"
      "  cliptag bench --stage all --format NV12 --width 1920 --height 1080 --json");
  command->callback([options, chosen] { *chosen = [options] { return RunBench(*options); }; });
}

}  // namespace cliptag
