"use strict";
const live = JSON.parse(document.getElementById("live").textContent);
const find = (id) => document.getElementById(id);
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const SVG = "http://www.w3.org/2000/svg";

// As Python writes it: a tie, which is an odd number of sixteenths, goes to the even digit.
const three = (value) => (Number.isFinite(value) ? ((value * 16) % 4 === 1 ? value - 1e-9 : value).toFixed(3) : "–");

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const element = (name, attributes = {}, children = []) => filled(document.createElement(name), attributes, children);
const drawn = (name, attributes = {}, children = []) => filled(document.createElementNS(SVG, name), attributes, children);

function button(text, attributes, action) {
  const made = element("button", { type: "button", ...attributes }, [text]);
  made.addEventListener("click", action);
  return made;
}
