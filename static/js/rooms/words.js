// Texts of the page, which Python hands over translated: this module only fills in their gaps.

/**
 * Puts values into the gaps of a text.
 * @param {string} text with gaps as Python writes them: "Let %(name)s in"
 * @param {Record<string, string|number>} values
 * @returns {string}
 */
export function fill(text, values) {
  return (text ?? "").replace(/%\((\w+)\)s|%%/g, (gap, name) => {
    if (gap === "%%") return "%";
    return name in values ? String(values[name]) : gap;
  });
}

/**
 * The object in a `json_script` element of the page; empty where there is none.
 * @param {string} id
 */
export function readJson(id) {
  const element = document.getElementById(id);
  return element ? JSON.parse(element.textContent) : {};
}

/**
 * Seconds rounded, as minutes and seconds, with hours from one on: 754 is "12:34". As `clock` of assessment/words.py, so
 * that a question has the same time in the call and in the summary.
 * @param {number} seconds
 */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  const parts = hours ? [hours, twoDigits(minutes)] : [minutes];
  return [...parts, twoDigits(whole % 60)].join(":");
}

const twoDigits = (number) => String(number).padStart(2, "0");

/**
 * An element with a class and a text; the text is never read as HTML.
 * @param {string} tag
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElement}
 */
export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  element.className = className;
  if (text) element.textContent = text;
  return element;
}

/**
 * A button of the site that runs `press`.
 * @param {string} className
 * @param {string} text
 * @param {() => void} press
 * @returns {HTMLButtonElement}
 */
export function makeButton(className, text, press) {
  const button = make("button", className, text);
  button.type = "button";
  button.addEventListener("click", press);
  return button;
}

/** Whether one of two elements lies over the other. */
export function overlap(one, other) {
  const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
