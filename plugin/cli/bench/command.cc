// cliptag bench: how fast a stage is here.
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "plugin/cli/bench/measure.h"
#include "plugin/cli/bench/stages.h"
#include "plugin/cli/bench/streams.h"
#include "plugin/cli/command_line.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/session.h"

namespace cliptag {
namespace {

struct BenchOptions {
  ModelOptions model;
  BenchShape shape;
  std::string stage = "encode";
  double seconds = 3;
  bool json = false;
  StreamsOptions streams;
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
  json["model"] = options.model.model;
  json["stage"] = options.stage;
  json["backend"] = ToString(result.backend.kind);
  json["device"] = result.backend.description;
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
  std::cout << "\n  on           " << ToString(result.backend.kind) << ", "
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

int RunStreams(const BenchOptions& options) {
  const Result<StreamsResult> result = BenchStreams(options.streams);
  if (!result.ok()) return ExitCode(result.status());
  if (options.json) {
    std::cout << ToJson(options.streams, *result).dump(1) << '\n';
  } else {
    std::cout << ToTable(options.streams, *result);
  }
  return ExitCode(FlushOutput());
}

int RunBench(const BenchOptions& options) {
  const Result<BenchResult> result = Bench(options);
  if (!result.ok()) return ExitCode(result.status());
  if (options.json) {
    PrintJson(options, *result);
  } else {
    PrintTable(options, *result);
  }
  return ExitCode(FlushOutput());
}

// Options that are of no use without --streams, or with it.
void AddStreamsOptions(CLI::App& command, StreamsOptions* options, CLI::Option* stage) {
  constexpr const char* kGroup = "Cameras";
  CLI::Option* streams =
      command
          .add_option("--streams", options->streams,
                      "Run this many cameras through the element, in one process, and then through "
                      "identity")
          ->check(CLI::Range(1, 4096))
          ->excludes(stage)
          ->group(kGroup)
          ->option_text("N");
  command.add_option("--fps", options->fps, "Frames per second of each stream")
      ->needs(streams)
      ->group(kGroup)
      ->option_text("RATE [25]");
  command
      .add_option("--max-rate", options->max_rate,
                  "Looks per second at each stream; 0 = no limit, the default of --mode exact")
      ->needs(streams)
      ->group(kGroup)
      ->option_text("RATE [1/1]");
  command
      .add_option("--mode", options->mode,
                  "live: cameras, which nothing holds back; exact: frames come as fast as they are "
                  "taken, and each waits for its tags")
      ->check(CLI::IsMember({"live", "exact"}))
      ->needs(streams)
      ->group(kGroup)
      ->option_text("NAME [live]");
  command.add_flag("--align", options->aligned, "All cameras tick, and are looked at, together")
      ->needs(streams)
      ->group(kGroup)
      ->option_text(" ");
  command
      .add_flag(
          "--hostile", options->hostile,
          "Four of the streams misbehave: a stuck sink, ten flushing seeks a second, a hundred "
          "new lists of prompts a second, broken frames; the others are measured")
      ->needs(streams)
      ->group(kGroup)
      ->option_text(" ");
}

}  // namespace

void AddBenchCommand(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Measure how fast a model runs here");
  CLI::Option* stage =
      command
          ->add_option(
              "--stage", options->stage,
              "encode: prepared tensor to embeddings; preprocess: raw frames to tensor; text: "
              "texts to embeddings; all: raw frames to tags")
          ->check(CLI::IsMember({"encode", "preprocess", "text", "all"}))
          ->option_text("NAME [encode]");
  CLI::Option* batch =
      command->add_option("--batch", options->shape.batch, "Frames (or texts) per call")
          ->check(CLI::Range(1, 1024))
          ->option_text("N [1; with --streams the backend's choice]");
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
  AddStreamsOptions(*command, &options->streams, stage);
  command->footer(
      "After a warm-up every call recomputes the whole batch, from inputs that rotate. "
      "images_per_second\n"
      "is the batch over the median call; ready_ms the time from loading to the end of the first "
      "call.\n\n"
      "With --streams a frame is late if it reaches the sink more than 10 ms after its time; age "
      "is "
      "how\n"
      "much older than a frame the one is that its tags are of; Jain's index is 1 if all streams "
      "are "
      "looked\n"
      "at equally often.\n\n"
      "Examples:\n"
      "  cliptag bench --batch 8 --seconds 5\n"
      "  cliptag bench --stage all --format NV12 --width 1920 --height 1080 --json\n"
      "  cliptag bench --streams 64 --width 1280 --height 720 --fps 25 --max-rate 1/1");
  command->callback([options, chosen, batch] {
    StreamsOptions& streams = options->streams;
    if (streams.streams == 0) {
      *chosen = [options] { return RunBench(*options); };
      return;
    }
    streams.model = options->model;
    streams.shape = options->shape;
    if (batch->count() == 0) streams.shape.batch = 0;
    streams.seconds = options->seconds;
    *chosen = [options] { return RunStreams(*options); };
  });
}

}  // namespace cliptag
