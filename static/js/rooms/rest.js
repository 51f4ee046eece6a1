// On the candidate's pages around the call: sends what this browser still has of their recording, as long as it is taken,
// and says so; deletes what may not be kept. See chunk-store.js.

import { forget } from "./chunk-store.js";
import { Uploads } from "./upload.js";
import { fill, readJson } from "./words.js";

const { code, keeping, strings } = readJson("rest-data");
const place = document.querySelector("[data-rest]");

function say(text) {
  place.hidden = false;
  if (place.textContent !== text) place.textContent = text;
}

async function send() {
  const csrfToken = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const uploads = new Uploads({ code, csrfToken, keeping });
  const totalBytes = await uploads.resume();
  if (uploads.queue.length === 0) return;
  const show = () => {
    if (uploads.closed) say(strings.refused);
    else if (uploads.queue.length === 0) say(strings.arrived);
    else if (!uploads.answered) say(strings.away);
    else say(fill(strings.sending, { percent: Math.floor((100 * (totalBytes - uploads.bytes)) / (totalBytes || 1)) }));
  };
  show();
  uploads.addEventListener("change", show);
  window.addEventListener("online", () => uploads.hurry());
}

if (code && keeping && place) send();
else forget(code);
