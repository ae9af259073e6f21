// Numbers as they are written in the page.

const format = (options) => {
  const { format: write } = new Intl.NumberFormat("en", options);
  return (value) => write(value).replace("-", "−");
};
const large = format({ maximumFractionDigits: 2 });
const small = format({ maximumSignificantDigits: 3 });

const orDash = (write) => (value) => (value == null ? "–" : write(value));

export const figure = orDash((value) => (Math.abs(value) < 1 ? small(value) : large(value)));
export const signed = orDash((value) => (value > 0 ? "+" : "") + figure(value));
export const dollars = orDash((value) => `$${figure(value)}`);
/** A share that is not whole is never written as 0% or 100%. */
export const percent = orDash((value) => {
  const rounded = Math.round(value * 100);
  const kept = value > 0 && value < 1 ? Math.min(Math.max(rounded, 1), 99) : rounded;
  return `${large(kept)}%`;
});
export const seconds = orDash((value) => {
  if (value >= 120) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${large(value)} s`;
});

export const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
export const isNumber = (value) => value != null;

/** "1 case", "2 cases" */
export const counted = (n, noun) => `${large(n)} ${noun}${n === 1 ? "" : "s"}`;
