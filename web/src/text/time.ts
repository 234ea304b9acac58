/** Durations and ages as people say them. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `45 s`, `3 min`, `1 h 20 min`, `2 d 3 h`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < MINUTE) return `${whole} s`;
  if (whole < 10 * MINUTE && whole % MINUTE) return `${Math.floor(whole / MINUTE)} min ${whole % MINUTE} s`;
  if (whole < HOUR) return `${Math.round(whole / MINUTE)} min`;
  if (whole < DAY) return pair(whole, HOUR, "h", MINUTE, "min");
  return pair(whole, DAY, "d", HOUR, "h");
}

function pair(value: number, big: number, bigName: string, small: number, smallName: string): string {
  const rest = Math.floor((value % big) / small);
  return `${Math.floor(value / big)} ${bigName}${rest ? ` ${rest} ${smallName}` : ""}`;
}

/** Time left, rounded to what an estimate is worth: `about 4 min left`. */
export function timeLeft(seconds: number): string {
  if (seconds < 10) return "a few seconds left";
  const step = seconds < MINUTE ? 10 : seconds < HOUR ? MINUTE : 10 * MINUTE;
  return `about ${duration(Math.ceil(seconds / step) * step)} left`;
}

/** `12 s ago`, `3 min ago`. */
export function age(since: string, now: number): string {
  const seconds = (now - Date.parse(since)) / 1000;
  return seconds < 5 ? "just now" : `${duration(coarse(seconds))} ago`;
}

/** Drop the small unit so that ages in a list do not tick every second. */
function coarse(seconds: number): number {
  if (seconds < MINUTE) return seconds;
  if (seconds < HOUR) return Math.floor(seconds / MINUTE) * MINUTE;
  return seconds < DAY ? Math.floor(seconds / HOUR) * HOUR : Math.floor(seconds / DAY) * DAY;
}

/** Seconds between two moments of the API, or up to `now` while the second is open. */
export function secondsBetween(start: string | null, end: string | null, now: number): number | null {
  if (start === null) return null;
  return Math.max(0, ((end === null ? now : Date.parse(end)) - Date.parse(start)) / 1000);
}

/** Local date and time, for titles and logs. */
export function moment(iso: string): string {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** Local time of day. */
export const clock = (iso: string): string => new Date(iso).toLocaleTimeString(undefined, { hour12: false });
