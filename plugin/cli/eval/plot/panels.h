// The parts of the figure of `cliptag eval`. Each draws itself with its top left corner where it is
// told, and says how large it is.
//
// Thread safety: one thread.
#pragma once

#include <vector>

#include "plugin/cli/eval/measures/result.h"
#include "plugin/cli/eval/plot/canvas.h"

namespace cliptag {

struct PanelSize {
  double width = 0, height = 0;
};

// Bars of accuracy, class by class from the best to the worst, and beside them, row by row, what
// each class is taken for. Names are left out where there are too many to be read.
class ClassesPanel {
 public:
  explicit ClassesPanel(const ZeroShotResult& result);
  PanelSize size() const;
  void Draw(Canvas* canvas, Point corner) const;

 private:
  void DrawBars(Canvas* canvas, Point corner) const;
  void DrawMatrix(Canvas* canvas, Point corner) const;
  void DrawScale(Canvas* canvas, Point corner) const;
  bool named() const;

  const ZeroShotResult& result_;
  std::vector<int> order_;  // classes from top to bottom
  double cell_ = 0;         // height of a row
  double label_ = 0;        // width of the names
};

// Accuracy over the strength of each corruption.
PanelSize CorruptionsPanelSize();
void DrawCorruptions(Canvas* canvas, Point corner, const ZeroShotResult& result);

// Accuracy of the probe over shots, beside that of the words.
PanelSize ProbePanelSize();
void DrawProbe(Canvas* canvas, Point corner, const ProbeResult& probe, double zero_shot,
               double chance);

}  // namespace cliptag
