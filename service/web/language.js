// The language: that of the address (?lang=de), or else the browser's. It is kept in the address alone.

import { h } from "./dom.js";
import { chooseLanguage, language, LANGUAGES, say } from "./words.js";

// `draw` says all texts of the page.
export function startLanguage(draw) {
  const select = document.getElementById("language");
  const drawAll = () => {
    document.documentElement.lang = language();
    document.title = say("page.title");
    draw();
  };
  const asked = new URLSearchParams(location.search).get("lang");
  chooseLanguage([...(asked ? [asked] : []), ...navigator.languages]);
  select.replaceChildren(...LANGUAGES.map(([code, name]) =>
    h("option", { value: code, lang: code, selected: code === language() }, name)));
  select.addEventListener("change", () => {
    chooseLanguage([select.value]);
    const address = new URL(location.href);
    address.searchParams.set("lang", language());
    history.replaceState(null, "", address);
    drawAll();
  });
  drawAll();
}
