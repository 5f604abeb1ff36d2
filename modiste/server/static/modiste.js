// Small helps for the pages: sliders tell their value as they move, photos can be dropped, and trouble is shown.
(() => {
  "use strict";
  document.documentElement.classList.add("js");

  const show = (slider) => {
    // on the parent, which has no id: htmx would copy a style attribute, and the policy would refuse it
    const { min, max, step, value } = slider;
    slider.parentElement.style.setProperty("--filled", `${(100 * (value - min)) / (max - min)}%`);
    const out = document.getElementById(`${slider.id}-out`);
    if (out) out.value = Number(step) < 1 ? Number(value).toFixed(2) : value;
  };
  const sliders = (within) => within.querySelectorAll("input[type=range]").forEach(show);
  document.addEventListener("input", (event) => event.target.type === "range" && show(event.target));
  document.addEventListener("htmx:load", (event) => sliders(event.target));
  sliders(document);

  // on a phone the sliders would cover what they change: they are one line until they are opened
  let open = !matchMedia("(max-width: 60rem)").matches;
  const steer = () => {
    const details = document.querySelector("#steer details");
    if (!details || details.dataset.kept) return;
    details.dataset.kept = "yes";
    details.open = open;
    details.addEventListener("toggle", () => (open = details.open));
  };
  document.addEventListener("htmx:load", steer);
  steer();

  const notice = (text) => {
    const shown = document.createElement("p");
    shown.className = "notice";
    shown.setAttribute("role", "alert");
    shown.textContent = text;
    return shown;
  };
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (!(detail.xhr.getResponseHeader("Content-Type") || "").startsWith("application/json")) return;
    let text = "Something went wrong.";
    try {
      text = JSON.parse(detail.serverResponse).detail || text;
    } catch {
      // no JSON after all
    }
    detail.serverResponse = notice(`Sorry: ${text}.`).outerHTML;
  });
  document.addEventListener("htmx:sendError", ({ detail }) => {
    detail.target.replaceChildren(notice("The service doesn't answer. Is it running?"));
  });

  const search = document.getElementById("search");
  const drop = document.getElementById("drop");
  const photo = document.getElementById("photo");
  if (!search || !drop || !photo) return;
  const look = () => photo.files.length && search.requestSubmit();
  search.addEventListener("htmx:confirm", (event) => {
    if (!photo.files.length || photo.files[0].size <= Number(photo.dataset.most)) return;
    event.preventDefault(); // it would be refused after the whole upload
    document.getElementById("found").replaceChildren(notice(photo.dataset.tooLarge));
  });
  search.addEventListener("change", look);
  const stop = (event) => event.preventDefault();
  window.addEventListener("dragover", stop); // a photo that misses the field must not replace the page
  window.addEventListener("drop", stop);
  drop.addEventListener("dragenter", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", (event) => drop.contains(event.relatedTarget) || drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    const one = new DataTransfer();
    one.items.add(event.dataTransfer.files[0]);
    photo.files = one.files;
    look();
  });
})();
