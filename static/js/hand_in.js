// The hand-in form: drop area, cards in order, upload with its progress. Without this script the plain form works.

const form = document.getElementById("hand-in");
const part = (id) => document.getElementById(id);
const cards = part("cards");
const say = form.dataset;
let request = null;

// -- Cards ------------------------------------------------------------------------------------

const inCard = (card, name) => card.querySelector(`[data-part=${name}]`);
const fileOf = (card) => card.querySelector("input[type=file]");
const megabytes = (bytes) => `${(bytes / 1e6).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} MB`;

function number() {
  [...cards.children].forEach((card, index) => {
    inCard(card, "number").textContent = index + 1;
    for (const kind of ["videos", "questions"]) {
      const field = card.querySelector(`[data-kind=${kind}]`);
      const control = field.querySelector("input, textarea");
      control.id = `${kind}-${index}`;
      control.setAttribute("aria-describedby", `${kind}-${index}-error`);
      field.querySelector("label").htmlFor = control.id;
      field.querySelector(".error").id = `${kind}-${index}-error`;
    }
    inCard(card, "up").disabled = index === 0;
    inCard(card, "down").disabled = index === cards.children.length - 1;
    inCard(card, "remove").disabled = cards.children.length === 1;
  });
}

function showFile(card) {
  const file = fileOf(card).files[0];
  inCard(card, "file").textContent = file ? `${file.name}, ${megabytes(file.size)}` : "";
  complain(card.querySelector("[data-kind=videos]"), "");
}

function move(card, steps) {
  const other = cards.children[[...cards.children].indexOf(card) + steps];
  if (!other) return;
  if (steps < 0) cards.insertBefore(card, other);
  else cards.insertBefore(other, card);
  number();
}

function wire(card) {
  inCard(card, "tools").hidden = false;
  inCard(card, "up").addEventListener("click", () => move(card, -1));
  inCard(card, "down").addEventListener("click", () => move(card, 1));
  inCard(card, "remove").addEventListener("click", () => {
    card.remove();
    number();
  });
  fileOf(card).addEventListener("change", () => showFile(card));
}

function addCard() {
  const card = part("card").content.firstElementChild.cloneNode(true);
  cards.append(card);
  wire(card);
  number();
  return card;
}

function take(files) {
  for (const file of files) {
    const empty = [...cards.children].find((card) => fileOf(card).files.length === 0);
    const card = empty ?? addCard();
    const one = new DataTransfer();
    one.items.add(file);
    fileOf(card).files = one.files;
    showFile(card);
  }
}

function wireDrop() {
  const drop = part("drop");
  drop.hidden = part("add").hidden = false;
  const picker = Object.assign(document.createElement("input"), { type: "file", multiple: true });
  picker.accept = "video/*,audio/*,.mkv,.ts";
  picker.addEventListener("change", () => take(picker.files));
  part("choose").addEventListener("click", () => picker.click());
  part("add").addEventListener("click", () => fileOf(addCard()).focus());
  for (const type of ["dragenter", "dragover"]) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const json = [...event.dataTransfer.files].filter((file) => file.name.toLowerCase().endsWith(".json"));
    if (json.length) takeJson(json[0]);
    take([...event.dataTransfer.files].filter((file) => !json.includes(file)));
  });
}

function takeJson(file) {
  const one = new DataTransfer();
  one.items.add(file);
  part("json-hand-in").open = true;
  const input = part("json-form").querySelector("input[type=file]");
  input.files = one.files;
  input.focus();
}

// -- Errors -----------------------------------------------------------------------------------

function complain(field, text) {
  field.classList.toggle("has-error", text !== "");
  field.querySelector(".error").textContent = text;
  const control = field.querySelector("input, select, textarea");
  if (text) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}

function fieldOf(place) {
  return form.querySelector(`[data-field="${CSS.escape(place)}"]`) ?? document.getElementById(place)?.closest(".field");
}

function clearErrors() {
  form.querySelectorAll(".field").forEach((field) => complain(field, ""));
  form.querySelector("[data-field-error=videos]").textContent = "";
  part("trouble").hidden = true;
}

function trouble(text) {
  part("trouble").textContent = text;
  part("trouble").hidden = false;
}

function showErrors(errors) {
  const unplaced = [];
  let first = null;
  for (const [place, texts] of Object.entries(errors)) {
    const field = place && fieldOf(place);
    if (field) {
      complain(field, texts.join(" "));
      field.closest("details")?.setAttribute("open", "");
      first ??= field.querySelector("input, select, textarea");
    } else if (place === "videos" || place === "questions") {
      form.querySelector("[data-field-error=videos]").textContent = texts.join(" ");
    } else {
      unplaced.push(...texts);
    }
  }
  trouble(unplaced.join(" ") || say.look);
  first?.focus();
}

// -- Sending ----------------------------------------------------------------------------------

function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function follow(upload) {
  const started = performance.now();
  upload.addEventListener("progress", (event) => {
    if (!event.lengthComputable) return;
    const share = event.loaded / event.total;
    part("bar").value = 100 * share;
    const elapsed = (performance.now() - started) / 1000;
    const left = elapsed > 1 && share > 0 ? (elapsed * (1 - share)) / share : null;
    const amount = `${megabytes(event.loaded)} / ${megabytes(event.total)}`;
    part("sent").textContent = left === null ? amount : `${amount}, ${say.left.replace("{time}", clock(left))}`;
  });
  upload.addEventListener("load", () => {
    part("bar").removeAttribute("value");
    part("sent").textContent = say.checking;
  });
}

function busy(sending) {
  part("send").disabled = sending;
  part("stop").hidden = part("sending").hidden = !sending;
  part("bar").value = 0;
  part("sent").textContent = "";
}

function finished() {
  const answer = request.response;
  if (answer?.redirect) return location.assign(answer.redirect);
  busy(false);
  if (answer?.errors) showErrors(answer.errors);
  else if (request.status === 413) trouble(answer?.message ?? say.tooLarge);
  else if (request.status === 401 || request.responseURL.includes("/login/")) trouble(say.signedOut);
  else trouble(answer?.message ?? say.refused);
}

function send(event) {
  event.preventDefault();
  clearErrors();
  busy(true);
  request = new XMLHttpRequest();
  request.open("POST", location.pathname);
  request.responseType = "json";
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader("X-CSRFToken", form.querySelector("[name=csrfmiddlewaretoken]").value);
  follow(request.upload);
  request.addEventListener("load", finished);
  request.addEventListener("error", () => {
    busy(false);
    trouble(say.lost);
  });
  request.addEventListener("abort", () => busy(false));
  request.send(new FormData(form));
}

// -- Countries --------------------------------------------------------------------------------

function nameCountries() {
  const select = form.querySelector("[name=candidate_country]");
  const names = new Intl.DisplayNames([document.documentElement.lang], { type: "region" });
  const named = [...select.options].slice(1);
  named.forEach((option) => (option.textContent = `${names.of(option.value)} (${option.value})`));
  named.sort((a, b) => a.textContent.localeCompare(b.textContent, document.documentElement.lang));
  select.append(...named);
}

[...cards.children].forEach(wire);
number();
wireDrop();
nameCountries();
form.addEventListener("submit", send);
part("stop").addEventListener("click", () => request.abort());
