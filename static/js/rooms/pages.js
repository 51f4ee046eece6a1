// The pages around a call: copying the candidate's link, rows of questions, times and countries as people say them where
// they are. Without this script all of these pages work.

const part = (id) => document.getElementById(id);

// -- The candidate's link ---------------------------------------------------------------------

async function copyLink() {
  const field = part("link");
  const say = field.closest(".copy").dataset;
  field.select();
  try {
    await navigator.clipboard.writeText(field.value); // absent without HTTPS
    part("copy-told").textContent = say.copied;
  } catch {
    const copied = document.execCommand("copy");
    part("copy-told").textContent = copied ? say.copied : say.notCopied;
  }
}

function setUpCopy() {
  part("copy").hidden = false;
  part("copy").addEventListener("click", copyLink);
  part("link").addEventListener("focus", () => part("link").select());
}

// -- Questions --------------------------------------------------------------------------------

const rows = () => [...part("questions").children];
const textOf = (row) => row.querySelector("textarea");

function number() {
  rows().forEach((row, index) => {
    const text = textOf(row);
    text.id = `question-${index}`;
    text.setAttribute("aria-describedby", `question-${index}-error`);
    row.querySelector("label").htmlFor = text.id;
    row.querySelector("label").textContent = part("questions").dataset.label.replace("{number}", index + 1);
    row.querySelector("[data-part=remove] .hidden").textContent = ` ${index + 1}`;
    row.querySelector(".error").id = `question-${index}-error`;
  });
}

/** As high as what is written in it. */
function grow(text) {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
}

function remove(row) {
  const next = row.nextElementSibling ?? row.previousElementSibling;
  if (next) row.remove();
  else textOf(row).value = "";
  textOf(next ?? row).focus();
  number();
}

/** Write `line` into `row`, if there is one and it is empty; the row then. */
function fill(row, line) {
  if (!row || textOf(row).value.trim()) return null;
  textOf(row).value = line;
  return row;
}

/** A list that is pasted becomes one row a line. */
function paste(event) {
  const lines = event.clipboardData.getData("text").split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
  if (lines.length < 2 || event.target.value.trim()) return;
  event.preventDefault();
  let row = event.target.closest("li");
  textOf(row).value = lines[0];
  for (const line of lines.slice(1)) row = fill(row.nextElementSibling, line) ?? addRow(line, row);
  rows().forEach((one) => grow(textOf(one)));
  textOf(row).focus();
}

function wire(row) {
  const button = row.querySelector("[data-part=remove]");
  button.hidden = false;
  button.addEventListener("click", () => remove(row));
  textOf(row).addEventListener("input", () => grow(textOf(row)));
  textOf(row).addEventListener("paste", paste);
}

function addRow(text = "", after = null) {
  const row = part("question").content.firstElementChild.cloneNode(true);
  textOf(row).value = text;
  if (after) after.after(row);
  else part("questions").append(row);
  wire(row);
  number();
  return row;
}

function setUpQuestions() {
  rows().forEach(wire);
  rows().forEach((row) => grow(textOf(row)));
  number();
  part("add-question").hidden = false;
  part("add-question").addEventListener("click", () => textOf(addRow()).focus());
}

// -- Countries --------------------------------------------------------------------------------

const countryNames = () => new Intl.DisplayNames([document.documentElement.lang], { type: "region" });

function nameCountries(select) {
  const names = countryNames();
  const named = [...select.options].slice(1);
  named.forEach((option) => (option.textContent = `${names.of(option.value)} (${option.value})`));
  named.sort((a, b) => a.textContent.localeCompare(b.textContent, document.documentElement.lang));
  const chosen = select.value;
  select.append(...named);
  select.value = chosen;
}

// -- Times ------------------------------------------------------------------------------------

/** The server writes the time in the site's time zone; this is the reader's own. */
function localTime(place) {
  const short = place.dataset.local === "short";
  const shape = short
    ? { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" }
    : { weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
  const { lang } = document.documentElement;
  const time = new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, { ...shape, hourCycle: "h23" });
  place.textContent = time.format(new Date(place.dateTime));
}

// ---------------------------------------------------------------------------------------------

if (part("copy")) setUpCopy();
if (part("questions")) setUpQuestions();
const countries = document.querySelector("[name=candidate_country]");
if (countries) nameCountries(countries);
document.querySelectorAll("time[data-local]").forEach(localTime);
document.querySelectorAll("[data-country]").forEach((place) => {
  place.textContent = `${countryNames().of(place.dataset.country)} (${place.dataset.country})`;
});
document.querySelector("#new-room .has-error")?.querySelector("input, select, textarea")?.focus();
