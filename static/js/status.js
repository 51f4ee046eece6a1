// Keeps the status page up to date until the results are there.

const SLOWEST_MS = 15000;
const panel = document.getElementById("status");
const part = (id) => document.getElementById(id);

function timeLeft(seconds) {
  if (seconds === null) return "";
  const minutes = Math.ceil(seconds / 60);
  return minutes <= 1 ? panel.dataset.minute : panel.dataset.minutes.replace("{count}", minutes);
}

function showStage(item, stage) {
  item.dataset.status = stage.status;
  const shown = { completed: "✓", processing: `${stage.percent} %` };
  item.querySelector("[data-part=percent]").textContent = shown[stage.status] ?? "";
}

function showAnswer(answer) {
  const section = document.querySelector(`[data-answer="${answer.id}"]`);
  for (const stage of section.querySelector(".stepper") ? answer.stages : []) {
    const item = section.querySelector(`[data-stage="${stage.name}"]`);
    if (item) showStage(item, stage);
  }
}

function show(status) {
  part("message").textContent = status.message;
  part("eta").textContent = timeLeft(status.eta_seconds);
  part("percent").value = status.percent;
  part("progress").textContent = status.progress;
  document.title = document.title.replace(/\d+ %/, `${status.percent} %`);
  status.answers.forEach(showAnswer);
}

const states = (status) => status.answers.map((answer) => answer.status).join();

async function watch() {
  const usual = Number(panel.dataset.intervalMs);
  let pause = usual;
  let before = null;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (document.hidden) continue;
    try {
      const response = await fetch(panel.dataset.url, { headers: { Accept: "application/json" } });
      if (response.status === 401 || response.status === 404) return location.reload();
      if (!response.ok) throw new Error(String(response.status));
      const status = await response.json();
      // Words of an answer's state are the server's: when one changes, the page is asked for anew.
      if (status.redirect || (before !== null && before !== states(status))) return location.reload();
      before = states(status);
      show(status);
      pause = usual;
    } catch (error) {
      if (!(error instanceof TypeError) && !/^\d+$/.test(error.message)) throw error;
      part("message").textContent = panel.dataset.away;
      pause = Math.min(pause * 2, SLOWEST_MS);
    }
  }
}

watch();
