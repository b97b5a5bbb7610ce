/** Numbers as people read them, in the language of the page. */
import { i18n } from './i18n.ts';

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
const step = 1024;

function number(value: number, options: Intl.NumberFormatOptions): string {
  return new Intl.NumberFormat(i18n.language, options).format(value);
}

/** 1,503,238,553 → "1.4 GB". Steps of 1024, as file managers and memory tools count. */
export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  // A thousand of a unit reads worse than one of the next.
  while (value >= 1000 && unit < units.length - 1) {
    value /= step;
    unit += 1;
  }
  const digits = unit < 2 || value >= 100 ? 0 : 1;
  return number(value, {
    style: 'unit',
    unit: units[unit] ?? 'byte',
    unitDisplay: unit === 0 ? 'narrow' : 'short',
    maximumFractionDigits: digits,
  });
}

/** 1234567 → "1.2M". */
export function formatCount(value: number): string {
  return number(value, { notation: 'compact', maximumFractionDigits: 1 });
}

export function formatNumber(value: number, maximumFractionDigits = 1): string {
  return number(value, { maximumFractionDigits });
}

export function formatPercent(fraction: number): string {
  return number(fraction, { style: 'percent', maximumFractionDigits: 0 });
}

export function formatSpeed(tokensPerSecond: number): string {
  const value = formatNumber(tokensPerSecond, tokensPerSecond < 10 ? 1 : 0);
  return i18n.t('units.tokensPerSecond', { value });
}

/** "40 s left", "3 min left": no more exact than an estimate is. */
export function formatTimeLeft(seconds: number): string {
  if (seconds < 90) return i18n.t('units.secondsLeft', { count: Math.max(1, Math.round(seconds)) });
  if (seconds < 90 * 60) return i18n.t('units.minutesLeft', { count: Math.round(seconds / 60) });
  return i18n.t('units.hoursLeft', { value: formatNumber(seconds / 3600) });
}

export function formatDate(time: number): string {
  return new Intl.DateTimeFormat(i18n.language, { dateStyle: 'medium', timeStyle: 'short' }).format(time);
}

/** A prompt for a model that reads English alone; in other languages its translation stands before it, in brackets. */
export const withoutTranslation = (prompt: string): string => prompt.replace(/^（.*?）/u, '');
