"""The loss curve of a run's log as an SVG, with nothing but Python."""
import json

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 360, 56, 16, 16, 40


def read_log(path):
    """(step, loss) of each step; of one that was repeated after a resume the later."""
    losses = {}
    with open(path, encoding='utf-8') as f:
        for line in f:
            if line.strip():
                row = json.loads(line)
                if 'loss' in row:
                    losses[row['step']] = row['loss']
    return sorted(losses.items())


def smoothed(points, over=20):
    """An exponential mean that weighs its first values rightly."""
    mean, weight, out = 0.0, 0.0, []
    for step, loss in points:
        mean, weight = mean + (loss - mean) / over, weight + (1 - weight) / over
        out.append((step, mean / weight))
    return out


def svg(points):
    if not points:
        raise ValueError('The log holds no steps to plot.')
    low, high = 0.0, max(loss for _, loss in points) * 1.05 or 1.0
    first, last = points[0][0], max(points[-1][0], points[0][0] + 1)

    def place(step, loss):
        return (LEFT + (WIDTH - LEFT - RIGHT) * (step - first) / (last - first),
                HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (loss - low) / (high - low))

    def line(values, colour, width):
        path = ' '.join('%.1f,%.1f' % place(*v) for v in values)
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for i in range(6):
        value = low + (high - low) * i / 5
        y = place(first, value)[1]
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>')
        step = first + (last - first) * i / 5
        x = place(step, low)[0]
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{step:.0f}</text>')
    middle = HEIGHT / 2
    out += [line(points, '#b8cfe8', 1), line(smoothed(points), '#1f5fa8', 2),
            f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">step</text>',
            f'<text x="12" y="{middle}" transform="rotate(-90 12 {middle})" text-anchor="middle">loss</text>',
            '</svg>']
    return '\n'.join(out) + '\n'


def plot(log, output):
    with open(output, 'w', encoding='utf-8') as f:
        f.write(svg(read_log(log)))
