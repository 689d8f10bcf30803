// With Cairo and Pango.
#include <algorithm>
#include <filesystem>
#include <system_error>

#include "plugin/cli/eval/plot/canvas.h"
#include "plugin/cli/eval/plot/panels.h"
#include "plugin/cli/eval/plot/plot.h"

namespace cliptag {
namespace {

constexpr double kMargin = 16, kHeader = 28, kBetween = 24;

std::string HeaderOf(const EvalResult& result) {
  char text[160];
  const Accuracy& clean = result.zero_shot->clean;
  std::snprintf(text, sizeof(text), ": top-1 %.1f %% of %lld pictures, %d classes",
                100 * clean.top1(), static_cast<long long>(clean.count()), clean.classes());
  return result.model + " (" + ToString(result.backend.precision) + ")" + text;
}

}  // namespace

Status CheckPlot(const std::string& path) {
  if (!path.ends_with(".png") && !path.ends_with(".svg")) {
    return InvalidArgument("cannot draw '" + path + "': a figure's name ends in .png or .svg");
  }
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty() && !std::filesystem::is_directory(folder, error)) {
    return NotFound("cannot write the figure '" + path + "': there is no folder '" +
                    folder.string() + "'");
  }
  return {};
}

Status WritePlot(const std::string& path, const EvalResult& result) {
  const ZeroShotResult& zero_shot = *result.zero_shot;
  const ClassesPanel classes(zero_shot);
  const bool corruptions = !zero_shot.corrupted.empty(), probe = result.probe.has_value();
  PanelSize curves;
  if (corruptions) curves = CorruptionsPanelSize();
  if (probe) {
    curves.width += (corruptions ? kBetween : 0) + ProbePanelSize().width;
    curves.height = std::max(curves.height, ProbePanelSize().height);
  }
  // A few classes leave room beside them; of many the curves go below.
  const bool beside =
      curves.width > 0 && zero_shot.clean.classes() <= 12 && !(corruptions && probe);
  double width = classes.size().width, height = kHeader + classes.size().height;
  if (beside) {
    width += kBetween + curves.width;
    height = std::max(height, kHeader + curves.height);
  } else if (curves.width > 0) {
    width = std::max(width, curves.width);
    height += kBetween + curves.height;
  }
  CLIPTAG_ASSIGN_OR_RETURN(const std::unique_ptr<Canvas> canvas,
                           Canvas::Create(path, width + 2 * kMargin, height + 2 * kMargin));
  canvas->Text({kMargin, kMargin + 6}, HeaderOf(result), {.size = 12, .bold = true});
  classes.Draw(canvas.get(), {kMargin, kMargin + kHeader});
  Point at = beside ? Point{kMargin + classes.size().width + kBetween, kMargin + kHeader}
                    : Point{kMargin, kMargin + kHeader + classes.size().height + kBetween};
  if (corruptions) {
    DrawCorruptions(canvas.get(), at, zero_shot);
    at.x += CorruptionsPanelSize().width + kBetween;
  }
  if (probe) {
    DrawProbe(canvas.get(), at, *result.probe, zero_shot.clean.top1(),
              1.0 / zero_shot.clean.classes());
  }
  return canvas->Finish();
}

}  // namespace cliptag
