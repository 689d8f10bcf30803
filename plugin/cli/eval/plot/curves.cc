// Of plugin/cli/eval/plot/panels.h, the curves.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "plugin/cli/eval/corruptions/corruptions.h"
#include "plugin/cli/eval/plot/panels.h"

namespace cliptag {
namespace {

constexpr double kTop = 24;   // of the title
constexpr double kLeft = 44;  // of the axis' numbers and name
constexpr double kBelow = 36;
constexpr double kWidth = 270, kHeight = 200;  // of the axes
constexpr double kLegend = 140;
// Okabe's and Ito's colours, which colour-blind readers can tell apart, and an ink.
constexpr Colour kColours[] = {{0.00, 0.45, 0.70}, {0.84, 0.37, 0.00}, {0.00, 0.62, 0.45},
                               {0.80, 0.47, 0.65}, {0.34, 0.71, 0.91}, {0.90, 0.62, 0.00},
                               {0.40, 0.40, 0.43}, {0.55, 0.25, 0.65}};

// Axes from 0 to 100 % over named places; knows where a value lies.
class Axes {
 public:
  Axes(Canvas* canvas, Point corner, const std::string& title, const std::string& below,
       const std::vector<std::string>& ticks)
      : canvas_(canvas), corner_({corner.x + kLeft, corner.y + kTop}), places_(ticks.size()) {
    canvas->Text({corner_.x, corner.y + 8}, title, {.size = 11, .bold = true});
    for (int tick = 0; tick <= 4; ++tick) {
      const double y = At(0, tick / 4.0).y;
      canvas->Line({corner_.x, y}, {corner_.x + kWidth, y}, kGrid);
      canvas->Text({corner_.x - 5, y}, std::to_string(25 * tick),
                   {.size = 8, .align = Align::kEnd});
    }
    for (size_t i = 0; i < ticks.size(); ++i) {
      const double x = At(i, 0).x;
      canvas->Line({x, corner_.y + kHeight}, {x, corner_.y + kHeight + 3}, kInk);
      canvas->Text({x, corner_.y + kHeight + 10}, ticks[i], {.size = 8, .align = Align::kMiddle});
    }
    canvas->Text({corner_.x + kWidth / 2, corner_.y + kHeight + 25}, below,
                 {.size = 9, .align = Align::kMiddle});
    canvas->Text({corner_.x - 32, corner_.y + kHeight / 2}, "top-1, %",
                 {.size = 9, .align = Align::kMiddle, .upwards = true});
    canvas->Line({corner_.x, corner_.y}, {corner_.x, corner_.y + kHeight}, kInk);
    canvas->Line({corner_.x, corner_.y + kHeight}, {corner_.x + kWidth, corner_.y + kHeight}, kInk);
  }

  Point At(size_t place, double share) const {
    constexpr double kMargin = 0.05;  // so that nothing lies on the axis
    const double inner = places_ > 1 ? static_cast<double>(place) / (places_ - 1.0) : 0.5;
    return {corner_.x + kWidth * (kMargin + (1 - 2 * kMargin) * inner),
            corner_.y + kHeight * (1 - share)};
  }
  void Level(double share, Colour colour, bool dashed) const {
    const double y = At(0, share).y;
    canvas_->Line({corner_.x, y}, {corner_.x + kWidth, y}, colour, 1, dashed);
  }
  void Heading(const std::string& text) const {
    canvas_->Text({corner_.x + kWidth + 16, corner_.y - 10}, text, {.size = 8, .colour = kFaint});
  }
  // Entries of a legend, one below the other at the right; gives where the sample goes.
  Point Legend(size_t entry, const std::string& text) const {
    const Point at = {corner_.x + kWidth + 16, corner_.y + 6 + 15 * static_cast<double>(entry)};
    canvas_->Text({at.x + 24, at.y}, text, {.size = 8.5});
    return at;
  }
  void LegendLine(size_t entry, const std::string& text, Colour colour, bool dashed) const {
    const Point at = Legend(entry, text);
    canvas_->Line(at, {at.x + 18, at.y}, colour, 1.2, dashed);
  }

 private:
  Canvas* const canvas_;
  const Point corner_;
  const size_t places_;
};

std::string Numbered(const char* name, double share) {
  char text[64];
  std::snprintf(text, sizeof(text), "%s (%.1f)", name, 100 * share);
  return text;
}

}  // namespace

PanelSize CorruptionsPanelSize() { return {kLeft + kWidth + kLegend, kTop + kHeight + kBelow}; }
PanelSize ProbePanelSize() { return CorruptionsPanelSize(); }

void DrawCorruptions(Canvas* canvas, Point corner, const ZeroShotResult& result) {
  const Axes axes(canvas, corner, "Corruptions", "strength", {"clean", "1", "2", "3", "4", "5"});
  const double chance = 1.0 / result.clean.classes();
  axes.Level(chance, kInk, /*dashed=*/true);
  // The legend in the order in which the curves end.
  std::vector<size_t> kinds;
  for (size_t k = 0; k < CorruptionKinds().size(); ++k) kinds.push_back(k);
  const auto end_of = [&](size_t k) {
    return result.corrupted[k * kStrengths + kStrengths - 1].top1();
  };
  std::stable_sort(kinds.begin(), kinds.end(),
                   [&](size_t a, size_t b) { return end_of(a) > end_of(b); });
  axes.Heading("mean over strengths, %");
  for (size_t entry = 0; entry < kinds.size(); ++entry) {
    const size_t k = kinds[entry];
    const Colour colour = kColours[k % std::size(kColours)];
    std::vector<Point> points = {axes.At(0, result.clean.top1())};
    double mean = 0;
    for (size_t s = 0; s < kStrengths; ++s) {
      const double top1 = result.corrupted[k * kStrengths + s].top1();
      points.push_back(axes.At(s + 1, top1));
      mean += top1 / kStrengths;
    }
    canvas->Path(points, colour, 1.3);
    for (size_t s = 1; s < points.size(); ++s) {
      canvas->Marker(points[s], static_cast<int>(k), colour);
    }
    const Point at = axes.Legend(entry, Numbered(CorruptionKinds()[k].name, mean));
    canvas->Line(at, {at.x + 18, at.y}, colour, 1.3);
    canvas->Marker({at.x + 9, at.y}, static_cast<int>(k), colour);
  }
  axes.LegendLine(kinds.size(), Numbered("chance", chance), kInk, /*dashed=*/true);
  canvas->Marker(axes.At(0, result.clean.top1()), 0, kInk);
}

void DrawProbe(Canvas* canvas, Point corner, const ProbeResult& probe, double zero_shot,
               double chance) {
  std::vector<std::string> ticks;
  for (const ProbePoint& point : probe.points) {
    ticks.push_back(point.shots == 0 ? "all" : std::to_string(point.shots));
  }
  const Axes axes(canvas, corner, "Linear probe", "pictures of each class learnt from", ticks);
  axes.Level(zero_shot, kColours[1], /*dashed=*/false);
  axes.Level(chance, kInk, /*dashed=*/true);
  std::vector<Point> points;
  for (size_t i = 0; i < probe.points.size(); ++i) {
    const ProbePoint& point = probe.points[i];
    points.push_back(axes.At(i, point.mean));
    const Point low = axes.At(i, std::max(0.0, point.mean - point.deviation));
    const Point high = axes.At(i, std::min(1.0, point.mean + point.deviation));
    canvas->Line(low, high, kColours[0], 1);
    for (const Point& end : {low, high}) {
      if (point.deviation > 0) canvas->Line({end.x - 3, end.y}, {end.x + 3, end.y}, kColours[0], 1);
    }
  }
  canvas->Path(points, kColours[0], 1.3);
  for (const Point& point : points) canvas->Marker(point, 0, kColours[0]);
  const Point at = axes.Legend(0, Numbered("probe, all", probe.points.back().mean));
  canvas->Line(at, {at.x + 18, at.y}, kColours[0], 1.3);
  canvas->Marker({at.x + 9, at.y}, 0, kColours[0]);
  axes.LegendLine(1, Numbered("zero-shot", zero_shot), kColours[1], /*dashed=*/false);
  axes.LegendLine(2, Numbered("chance", chance), kInk, /*dashed=*/true);
}

}  // namespace cliptag
