// Of plugin/cli/eval/plot/panels.h, the classes.
#include "plugin/cli/eval/plot/panels.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace cliptag {
namespace {

constexpr int kMostNamed = 80;
constexpr double kTop = 46;         // of titles and the legend
constexpr double kBars = 150;       // width of the bars' axis
constexpr double kGap = 22;         // between bars and matrix
constexpr double kAxis = 34;        // below: ticks and what they are
constexpr double kScale = 62;       // right: the scale of colours
constexpr double kMostLabel = 130;  // longer names are cut
constexpr Colour kBar = {0.26, 0.52, 0.77};
constexpr Colour kMean = {0.84, 0.37, 0.0};

double CellOf(int classes) {
  if (classes <= 12) return 26;
  if (classes <= 30) return 16;
  if (classes <= kMostNamed) return 10;
  return std::max(0.4, 640.0 / classes);
}

// From white over blue to almost black.
Colour Shade(double share) {
  constexpr Colour kStops[] = {
      {1, 1, 1}, {0.78, 0.86, 0.94}, {0.42, 0.68, 0.84}, {0.13, 0.44, 0.71}, {0.03, 0.19, 0.42}};
  const double at = std::clamp(share, 0.0, 1.0) * 4;
  const int i = std::min(3, static_cast<int>(at));
  const double t = at - i;
  const auto mix = [t](double a, double b) { return a + t * (b - a); };
  return {mix(kStops[i].red, kStops[i + 1].red), mix(kStops[i].green, kStops[i + 1].green),
          mix(kStops[i].blue, kStops[i + 1].blue)};
}

std::string Percent(double share) {
  char text[32];
  std::snprintf(text, sizeof(text), share < 0.1 ? "%.1f %%" : "%.0f %%", 100 * share);
  return text;
}

double FontOf(double cell) { return std::min(9.0, 0.86 * cell); }

}  // namespace

ClassesPanel::ClassesPanel(const ZeroShotResult& result)
    : result_(result), order_(result.classes.size()), cell_(CellOf(result.clean.classes())) {
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(),
                   [&](int a, int b) { return result.clean.top1_of(a) > result.clean.top1_of(b); });
  if (!named()) return;
  // About what the letters take; what takes more is cut.
  size_t longest = 0;
  for (const EvalClass& one : result.classes) longest = std::max(longest, one.label().size());
  label_ = std::min(kMostLabel, 12 + 0.62 * FontOf(cell_) * static_cast<double>(longest));
}

bool ClassesPanel::named() const { return result_.clean.classes() <= kMostNamed; }

PanelSize ClassesPanel::size() const {
  const double side = cell_ * result_.clean.classes();
  const double below = named() ? std::max(kAxis, label_ + 18) : kAxis;
  return {label_ + 14 + kBars + kGap + side + kScale, kTop + side + below};
}

void ClassesPanel::Draw(Canvas* canvas, Point corner) const {
  DrawBars(canvas, {corner.x + label_ + 14, corner.y});
  DrawMatrix(canvas, {corner.x + label_ + 14 + kBars + kGap, corner.y});
  canvas->Text({corner.x + 5, corner.y + kTop + cell_ * result_.clean.classes() / 2},
               named() ? "" : "classes, from the best to the worst",
               {.size = 9, .align = Align::kMiddle, .upwards = true});
}

void ClassesPanel::DrawBars(Canvas* canvas, Point corner) const {
  const Accuracy& clean = result_.clean;
  const double side = cell_ * clean.classes(), top = corner.y + kTop;
  const auto x_of = [&](double share) { return corner.x + kBars * share; };
  canvas->Text({corner.x, corner.y + 8}, "Accuracy per class", {.size = 11, .bold = true});
  for (int tick = 0; tick <= 4; ++tick) {
    const double x = x_of(tick / 4.0);
    canvas->Line({x, top}, {x, top + side}, kGrid);
    canvas->Text({x, top + side + 9}, std::to_string(25 * tick),
                 {.size = 8, .align = Align::kMiddle});
  }
  canvas->Text({x_of(0.5), top + side + 22}, "top-1, %", {.size = 9, .align = Align::kMiddle});
  for (size_t row = 0; row < order_.size(); ++row) {
    const int c = order_[row];
    const double y = top + cell_ * static_cast<double>(row);
    const double thick = std::max(0.72 * cell_, std::min(cell_, 0.6));
    canvas->Rectangle({corner.x, y + (cell_ - thick) / 2}, kBars * clean.top1_of(c), thick, kBar);
    if (!named()) continue;
    canvas->Text({corner.x - 5, y + cell_ / 2}, result_.classes[static_cast<size_t>(c)].label(),
                 {.size = FontOf(cell_), .align = Align::kEnd, .most_width = label_});
  }
  canvas->Line({corner.x, top}, {corner.x, top + side}, kInk);
  const double chance = 1.0 / clean.classes(), mean = clean.mean_per_class();
  canvas->Line({x_of(chance), top - 3}, {x_of(chance), top + side}, kInk, 1, /*dashed=*/true);
  canvas->Line({x_of(mean), top - 3}, {x_of(mean), top + side}, kMean, 1.2);
  const double y = corner.y + 26;
  canvas->Line({corner.x, y}, {corner.x + 14, y}, kMean, 1.2);
  const std::string mean_text = "mean " + Percent(mean);
  canvas->Text({corner.x + 18, y}, mean_text, {.size = 8});
  const double next = corner.x + 18 + canvas->WidthOf(mean_text, 8) + 10;
  canvas->Line({next, y}, {next + 14, y}, kInk, 1, /*dashed=*/true);
  canvas->Text({next + 18, y}, "chance " + Percent(chance), {.size = 8});
}

void ClassesPanel::DrawMatrix(Canvas* canvas, Point corner) const {
  const Accuracy& clean = result_.clean;
  const int n = clean.classes();
  const double side = cell_ * n, top = corner.y + kTop;
  canvas->Text({corner.x, corner.y + 8}, "Taken for", {.size = 11, .bold = true});
  canvas->Text({corner.x, corner.y + 26}, "rows: what is shown; columns: answers, same order",
               {.size = 8, .colour = kFaint});
  for (int row = 0; row < n; ++row) {
    const int truth = order_[static_cast<size_t>(row)];
    if (clean.count_of(truth) == 0) continue;
    for (int column = 0; column < n; ++column) {
      const int64_t count = clean.confusion(truth, order_[static_cast<size_t>(column)]);
      if (count == 0) continue;
      const double share = static_cast<double>(count) / static_cast<double>(clean.count_of(truth));
      canvas->Rectangle({corner.x + cell_ * column, top + cell_ * row}, cell_, cell_, Shade(share));
      if (n > 12) continue;
      canvas->Text(
          {corner.x + cell_ * (column + 0.5), top + cell_ * (row + 0.5)},
          std::to_string(std::lround(100 * share)),
          {.size = 8, .align = Align::kMiddle, .colour = share > 0.55 ? Colour{1, 1, 1} : kInk});
    }
  }
  for (int i = 0; named() && i < n; ++i) {
    const int c = order_[static_cast<size_t>(i)];
    canvas->Text(
        {corner.x + cell_ * (i + 0.5), top + side + 5},
        result_.classes[static_cast<size_t>(c)].label(),
        {.size = FontOf(cell_), .align = Align::kEnd, .upwards = true, .most_width = label_});
  }
  canvas->Frame({corner.x, top}, side, side, kInk);
  DrawScale(canvas, {corner.x + side + 12, top});
}

void ClassesPanel::DrawScale(Canvas* canvas, Point corner) const {
  const double height = std::min(160.0, cell_ * result_.clean.classes());
  constexpr int kSteps = 64;
  for (int i = 0; i < kSteps; ++i) {
    canvas->Rectangle({corner.x, corner.y + height * (kSteps - 1 - i) / kSteps}, 9,
                      height / kSteps + 0.3, Shade((i + 0.5) / kSteps));
  }
  canvas->Frame(corner, 9, height, kInk, 0.5);
  for (int tick = 0; tick <= 2; ++tick) {
    canvas->Text({corner.x + 13, corner.y + height * (1 - tick / 2.0)}, std::to_string(50 * tick),
                 {.size = 8});
  }
  canvas->Text({corner.x + 38, corner.y + height / 2}, "% of the row",
               {.size = 8, .align = Align::kMiddle, .upwards = true});
}

}  // namespace cliptag
