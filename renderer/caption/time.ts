/** 75.4 → "1:15", with tenths "1:15.4"; 3661 → "1:01:01". */
export function clock(seconds: number, hasTenths = false): string {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  const whole = Math.floor(tenths / 10);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  const time = hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  return hasTenths ? `${time}.${tenths % 10}` : time;
}
