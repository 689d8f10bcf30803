// The CPU benchmark: every operation of kernels/backend.h, cold and warm, and whole image encoders,
// beside what the machine can do. One JSON object on standard output or into a file; a table for
// people on stderr. Not a test: by hand, on an idle machine. Usage: --help.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>

#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/create_backend.h"
#include "tests/bench/bench.h"
#include "tests/bench/shapes.h"

namespace cliptag::bench {
namespace {

constexpr const char* kHelp =
    R"(usage: cliptag_bench [OPTION]...
  --precision P   fp32, bf16 or int8; may be given again         [all three]
  --model M       ViT-B-32, ViT-B-16, ViT-L-14, ViT-L-14-336 with random weights (operations and
                  model), or a model's name or directory (model); may be given again   [ViT-B-32]
  --batch N       may be given again                             [1 and 8]
  --threads N     0 = every core this process may use            [0]
  --filter TEXT   only names that hold TEXT; may be given again  [all]
  --seconds S     of each measurement                            [0.3]
  --json FILE     where the result goes                          [standard output]
  --list          print the names and end
  --no-limits     do not measure what the machine can do
  --small         everything tiny: whether it runs
Names are OPERATION/MODEL/BATCH, preprocess/FORMAT/SIZE/PATCH and model/MODEL/BATCH. `ms` is the
median by the clock, `best_ms` the least, `cpu_ms` the least CPU time of all threads together, which
other work on the machine spoils least. `gflops` and `gb_s` are by best_ms, `of_peak` is the share of
what one core can do, by CPU time; `gb_s` of a product counts its weights alone. cold: weights or buffers rotate through more than the last-level
cache; warm: the same again.
)";

[[noreturn]] void Usage(const std::string& what) {
  std::fprintf(stderr, "cliptag_bench: %s\n%s", what.c_str(), kHelp);
  std::exit(2);
}

struct Command {
  Options options;
  std::string json;
  bool list = false, limits = true;
};

// Options with a value.
bool Take(const std::string& name, const std::string& value, Command* command) {
  Options& options = command->options;
  if (name == "--model") {
    options.models.push_back(value);
  } else if (name == "--filter") {
    options.filters.push_back(value);
  } else if (name == "--json") {
    command->json = value;
  } else if (name == "--precision") {
    const auto precision = FindChoice(kPrecisions, value);
    if (!precision) Usage(name + " " + value + " is none of auto, fp32, bf16, fp16 and int8");
    options.precisions.push_back(*precision);
  } else if (name == "--batch" || name == "--threads") {
    const int number = std::atoi(value.c_str());
    if (number < (name == "--batch" ? 1 : 0)) Usage(name + " " + value + " is no number");
    if (name == "--batch") options.batches.push_back(number);
    if (name == "--threads") options.threads = number;
  } else if (name == "--seconds") {
    options.seconds = std::atof(value.c_str());
  } else {
    return false;
  }
  return true;
}

Command Parse(int argc, char** argv) {
  const Options defaults;
  Command command;
  Options& options = command.options;
  options.precisions.clear();
  options.batches.clear();
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--small") {
      options.small = true;
      options.seconds = 0;
    } else if (name == "--list") {
      command.list = true;
    } else if (name == "--no-limits") {
      command.limits = false;
    } else if (name == "--help") {
      std::printf("%s", kHelp);
      std::exit(0);
    } else if (i + 1 == argc || !Take(name, argv[i + 1], &command)) {
      Usage("what is " + name + "?");
    } else {
      ++i;
    }
  }
  if (options.precisions.empty()) options.precisions = defaults.precisions;
  if (options.batches.empty()) options.batches = defaults.batches;
  if (options.models.empty()) options.models = {options.small ? "tiny" : "ViT-B-32"};
  return command;
}

// What a command prints, its first line; empty where it fails.
std::string FirstLine(const std::string& shell) {
  FILE* pipe = popen(shell.c_str(), "r");
  if (pipe == nullptr) return "";
  char line[256] = "";
  const bool read = std::fgets(line, sizeof(line), pipe) != nullptr;
  pclose(pipe);
  std::string text = read ? line : "";
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Json Machine() {
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  const auto level = ChooseCpuLevel();
  double load[1] = {0};
  (void)getloadavg(load, 1);
  return {{"cpu", CpuName()},
          {"level", level.ok() ? ToString(*level) : level.status().message().c_str()},
          {"l2_bytes", SecondLevelCacheBytes()},
          {"last_level_bytes", LastLevelCacheBytes()},
          {"load", load[0]},
          {"commit",
           FirstLine("git -C '" CLIPTAG_SOURCE_ROOT "' describe --always --dirty 2>/dev/null")},
          {"date", date}};
}

Json ToJson(const Limits& l) {
  const auto entry = [](const char* unit, double value, const std::string& by) {
    return Json{{unit, value}, {"by", by}};
  };
  Json json;
  json["fp32"] = entry("gflops", l.fp32_gflops, l.fp32);
  if (l.bf16_gflops > 0) json["bf16"] = entry("gflops", l.bf16_gflops, l.bf16);
  if (l.int8_gops > 0) json["int8"] = entry("gops", l.int8_gops, l.int8);
  json["memory_gb_s"] = l.memory_gb_s;
  json["all_threads_memory_gb_s"] = l.all_memory_gb_s;
  json["l2_gb_s"] = l.l2_gb_s;
  std::fprintf(stderr,
               "one core: fp32 %.0f GFLOP/s (%s), bf16 %.0f (%s), int8 %.0f GOP/s (%s); "
               "memory %.1f GB/s, all threads %.1f, L2 %.0f\n",
               l.fp32_gflops, l.fp32.c_str(), l.bf16_gflops, l.bf16.c_str(), l.int8_gops,
               l.int8.c_str(), l.memory_gb_s, l.all_memory_gb_s, l.l2_gb_s);
  return json;
}

std::vector<Case> CasesOf(const Options& options, Backend& backend) {
  std::vector<Case> cases = PreprocessCases(options, backend);
  for (const std::string& model : options.models) {
    const Shape* shape = FindShape(model);
    if (shape == nullptr) continue;  // a model of files: whole only
    for (const int batch : options.batches) {
      for (Case& one : OperationCases(options, backend, *shape, batch)) {
        cases.push_back(std::move(one));
      }
    }
  }
  for (const int batch : options.batches) {
    for (Case& one : ConvolutionCases(options, backend, batch)) cases.push_back(std::move(one));
  }
  std::erase_if(cases, [&](const Case& one) { return !options.Wants(one.name); });
  return cases;
}

void RunPrecision(const Options& options, Precision precision, Report* report) {
  BackendOptions wanted;
  wanted.kind = BackendKind::kCpu;
  wanted.precision = precision;
  wanted.threads = options.threads;
  const auto backend = CreateBackend(wanted);
  if (!backend.ok()) {
    report->Unsupported("backend", precision, backend.status().message());
    return;
  }
  report->SetBackend((*backend)->info());
  for (const Case& one : CasesOf(options, **backend)) report->Run(one);
  RunModels(options, precision, report);
}

int Main(int argc, char** argv) {
  const Command command = Parse(argc, argv);
  const Options& options = command.options;
  if (command.list) {
    const auto backend = Check(CreateBackend({.kind = BackendKind::kCpu}));
    for (const Case& one : CasesOf(options, *backend)) std::printf("%s\n", one.name.c_str());
    for (const std::string& model : options.models) {
      for (const int batch : options.batches) {
        const std::string name = "model/" + model + "/" + std::to_string(batch);
        if (options.Wants(name)) std::printf("%s\n", name.c_str());
      }
    }
    return 0;
  }
  Json json;
  json["machine"] = Machine();
  Limits limits;
  if (command.limits) {
    const auto backend =
        Check(CreateBackend({.kind = BackendKind::kCpu, .threads = options.threads}));
    limits = MeasureLimits(backend->info().threads, options.small ? 0.001 : 0.2, options.small);
    json["limits"] = ToJson(limits);
  }
  Report report(options, limits);
  for (const Precision precision : options.precisions) RunPrecision(options, precision, &report);
  json["results"] = report.Take();
  std::ofstream file;
  if (!command.json.empty()) file.open(command.json);
  std::ostream& out = command.json.empty() ? std::cout : file;
  out << json.dump(1) << std::endl;
  if (!out) Check(ResourceExhausted("cannot write " + command.json));
  return 0;
}

}  // namespace
}  // namespace cliptag::bench

int main(int argc, char** argv) { return cliptag::bench::Main(argc, argv); }
