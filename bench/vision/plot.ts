/** A line chart of logarithmic axes as SVG. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly isDashed: boolean;
}

export interface Axes {
  readonly title: string;
  readonly x: string;
  readonly y: string;
}

const size = { width: 640, height: 400, left: 64, right: 170, top: 40, bottom: 48 };
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00'];

export function plot({ title, x, y }: Axes, lines: readonly Line[]): string {
  const all = lines.flatMap(({ points }) => points);
  const across = scale(
    all.map(([value]) => value),
    2,
    size.left,
    size.width - size.right,
  );
  const up = scale(
    all.map(([, value]) => value),
    10,
    size.height - size.bottom,
    size.top,
  );
  const texts: string[] = [];
  const label = (at: number, on: number, words: string, more = ''): void => {
    texts.push(`<text x="${at.toFixed(1)}" y="${on.toFixed(1)}" ${more}>${words}</text>`);
  };
  label(size.left, 22, title, 'font-size="15"');
  label((size.left + size.width - size.right) / 2, size.height - 10, x, 'text-anchor="middle"');
  label(14, size.height / 2, y, `text-anchor="middle" transform="rotate(-90 14 ${size.height / 2})"`);
  const grid: string[] = [];
  for (const tick of across.ticks) {
    grid.push(`M${across.place(tick).toFixed(1)} ${size.top}V${size.height - size.bottom}`);
    label(across.place(tick), size.height - size.bottom + 16, String(tick), 'text-anchor="middle"');
  }
  for (const tick of up.ticks) {
    grid.push(`M${size.left} ${up.place(tick).toFixed(1)}H${size.width - size.right}`);
    label(size.left - 6, up.place(tick) + 4, String(tick), 'text-anchor="end"');
  }
  const drawn = lines.map(({ name, points, isDashed }, at) => {
    const colour = colours[at % colours.length] ?? '#000';
    const places = points.map(([px, py]) => `${across.place(px).toFixed(1)},${up.place(py).toFixed(1)}`);
    const row = size.top + 14 + at * 18;
    const end = size.width - size.right;
    label(end + 36, row + 4, name);
    const dash = isDashed ? ' stroke-dasharray="6 4"' : '';
    const dots = places.map(
      (place) => `<circle cx="${place.split(',')[0]}" cy="${place.split(',')[1]}" r="3" fill="${colour}"/>`,
    );
    return `<polyline points="${places.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"${dash}/>${dots.join('')}<path d="M${end + 10} ${row}h20" stroke="${colour}" stroke-width="2"${dash}/>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/><path d="${grid.join('')}" stroke="#ddd" fill="none"/>${drawn.join('')}${texts.join('')}</svg>\n`;
}

/** Powers of `base` that enclose the values, and where a value stands between two edges. */
function scale(
  values: readonly number[],
  base: number,
  from: number,
  to: number,
): { ticks: number[]; place: (value: number) => number } {
  const power = (value: number): number => Math.log(value) / Math.log(base);
  const least = Math.floor(power(Math.min(...values)) + 1e-9);
  const most = Math.max(least + 1, Math.ceil(power(Math.max(...values)) - 1e-9));
  const ticks = Array.from({ length: most - least + 1 }, (_, at) => Number((base ** (least + at)).toPrecision(6)));
  return { ticks, place: (value) => from + ((power(value) - least) / (most - least)) * (to - from) };
}
