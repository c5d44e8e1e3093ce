// Elements are made without markup in strings: input from outside can only become text.

// h("button", {type: "button", onclick, class: "x", vars: {"--left": "3%"}}, "text", child, …)
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "vars") {
      for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    } else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const percent = (share) => `${(100 * share).toFixed(2)}%`;
export const picture = (fragment) => `data:image/jpeg;base64,${fragment.jpeg}`;
