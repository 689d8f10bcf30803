// The tables of plugin/cli/eval/report.h.
#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "plugin/cli/eval/corruptions/corruptions.h"
#include "plugin/cli/eval/report.h"

namespace cliptag {
namespace {

[[gnu::format(printf, 2, 3)]] void Append(std::string* out, const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  *out += text;
}

// Columns of a terminal: what follows the first byte of a character in UTF-8 takes none.
int WidthOf(const std::string& text) {
  return static_cast<int>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string Padded(const std::string& text, int width) {
  return text + std::string(static_cast<size_t>(std::max(0, width - WidthOf(text))), ' ');
}

std::string Counted(size_t count, const std::string& thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

// What pictures of a class are taken for most often, if not for what they are.
int TakenFor(const Accuracy& accuracy, int truth) {
  int most = -1;
  for (int answer = 0; answer < accuracy.classes(); ++answer) {
    if (answer == truth || accuracy.confusion(truth, answer) == 0) continue;
    if (most < 0 || accuracy.confusion(truth, answer) > accuracy.confusion(truth, most)) {
      most = answer;
    }
  }
  return most;
}

void ZeroShot(const ZeroShotResult& zero_shot, std::string* out) {
  const Accuracy& clean = zero_shot.clean;
  int width = 5;
  for (const EvalClass& one : zero_shot.classes) width = std::max(width, WidthOf(one.label()));
  const bool top5 = clean.classes() > Accuracy::kTop;
  *out += "\n" + Padded("class", width) + "  pictures   top-1";
  *out += top5 ? "   top-5  most often taken for\n" : "  most often taken for\n";
  for (int i = 0; i < clean.classes(); ++i) {
    *out += Padded(zero_shot.classes[static_cast<size_t>(i)].label(), width);
    Append(out, "  %8lld", static_cast<long long>(clean.count_of(i)));
    if (clean.count_of(i) > 0) {
      Append(out, "  %5.1f%%", 100 * clean.top1_of(i));
      if (top5) Append(out, "  %5.1f%%", 100 * clean.top5_of(i));
      if (const int other = TakenFor(clean, i); other >= 0) {
        *out += "  " + zero_shot.classes[static_cast<size_t>(other)].label();
        Append(out, " (%lld)", static_cast<long long>(clean.confusion(i, other)));
      }
    }
    *out += "\n";
  }
  *out += "\n" + Counted(static_cast<size_t>(clean.count()), "picture");
  Append(out, " of %d classes: top-1 %.2f %%", clean.classes(), 100 * clean.top1());
  if (top5) Append(out, ", top-5 %.2f %%", 100 * clean.top5());
  Append(out, ", mean per class %.2f %%; by chance %.2f %%\n", 100 * clean.mean_per_class(),
         100.0 / clean.classes());
}

void Corruptions(const ZeroShotResult& zero_shot, std::string* out) {
  *out += "\ncorruption       1       2       3       4       5    mean  of clean\n";
  const double clean = zero_shot.clean.top1();
  const auto mean_of = [&](double mean) {
    Append(out, "  %5.1f%%", 100 * mean);
    if (clean > 0) Append(out, "   %6.1f%%", 100 * mean / clean);
    *out += "\n";
  };
  for (size_t k = 0; k < CorruptionKinds().size(); ++k) {
    Append(out, "%-11s", CorruptionKinds()[k].name);
    for (size_t s = 0; s < kStrengths; ++s) {
      Append(out, "  %5.1f%%", 100 * zero_shot.corrupted[k * kStrengths + s].top1());
    }
    mean_of(MeanOfKind(zero_shot, k));
  }
  Append(out, "%-51s", "all");
  mean_of(MeanOfAll(zero_shot));
}

void Retrieval(const CaptionsResult& captions, std::string* out) {
  *out += "\n" + Counted(captions.pictures, "picture") + ", " + Counted(captions.texts, "caption") +
          ", " + Counted(captions.pairs, "pair") + "\n";
  *out += "retrieval      recall@1       @5      @10  median rank\n";
  const auto row = [&](const char* name, const Recall& r) {
    Append(out, "%-13s  %7.2f%%  %6.2f%%  %6.2f%%  %11.1f\n", name, 100 * r.at1, 100 * r.at5,
           100 * r.at10, r.median_rank);
  };
  row("image to text", captions.recall.image_to_text);
  row("text to image", captions.recall.text_to_image);
}

void Probe(const EvalOptions& options, const ProbeResult& probe, std::string* out) {
  Append(out, "\nlinear probe, l2 %g%s, learnt from %zu pictures\nshots       top-1\n", probe.l2,
         probe.from_words ? " about the words" : "", probe.pictures);
  for (const ProbePoint& point : probe.points) {
    if (point.shots == 0) {
      Append(out, "  all      %5.1f%%\n", 100 * point.mean);
    } else {
      Append(out, "%5d      %5.1f%%  +- %.1f%% over %zu draws\n", point.shots, 100 * point.mean,
             100 * point.deviation, point.top1.size());
    }
  }
  if (!options.bank.empty()) {
    *out += "written to " + options.bank;
    Append(out, "; for its probabilities take scoring=softmax temperature=%.4g\n",
           1 / probe.bank.scale);
  }
}

}  // namespace

std::string ToTable(const EvalOptions& options, const EvalResult& result) {
  std::string out = "model " + result.model + ", " + ToString(result.backend.kind) + ", " +
                    ToString(result.backend.precision) + "\n";
  if (result.zero_shot) {
    ZeroShot(*result.zero_shot, &out);
    if (!result.zero_shot->corrupted.empty()) Corruptions(*result.zero_shot, &out);
  }
  if (result.captions) Retrieval(*result.captions, &out);
  if (result.probe) Probe(options, *result.probe, &out);
  if (!result.unreadable.empty()) {
    const size_t count = result.unreadable.size();
    out += "\n" + Counted(count, "file") + " could not be read and " +
           (count == 1 ? "counts" : "count") + " for nothing\n";
  }
  return out;
}

}  // namespace cliptag
