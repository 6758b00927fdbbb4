/** The controls for who is asking: seven numbers, seven flags, and what each adds to the risk. */
import { assessRisk, defaultWeights, type RiskSignals } from "gatepass/clearance";
import { FLAGS, NUMBERS } from "../protected-policy.ts";
import { element, make } from "./dom.ts";
import { signed } from "./protected-words.ts";

/** What the controls stand at; those at rest are left to what the gate knows itself. */
export interface Controls {
  signals(): Partial<RiskSignals>;
}

export function createControls(onChange: () => void): Controls {
  const numbers = Object.entries(NUMBERS).map(([name, { label, hint, rest, max }]) => {
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: rest === 0 ? "0" : "1", max: String(max), value: String(rest), id: `signal-${name}` });
    const caption = document.createElement("label");
    caption.htmlFor = input.id;
    const value = make("output", "value");
    const points = make("span", "points");
    caption.append(make("span", "name", label), make("span", "hint", hint), value, points);
    const box = make("div", "slider");
    box.append(caption, input);
    element("numbers", HTMLElement).append(box);
    return { name, rest, input, value, points, box };
  });
  const flags = Object.entries(FLAGS).map(([name, label]) => {
    const input = document.createElement("input");
    Object.assign(input, { type: "checkbox", id: `signal-${name}` });
    const caption = make("label", "flag");
    caption.append(input, make("span", "name", label), make("span", "points", signed(defaultWeights[name]?.points ?? 0)));
    element("flags", HTMLElement).append(caption);
    return { name, input };
  });

  const signals = (): Partial<RiskSignals> => ({
    ...Object.fromEntries(
      numbers.filter(({ input, rest }) => input.valueAsNumber !== rest).map(({ name, input }) => [name, input.valueAsNumber]),
    ),
    ...Object.fromEntries(flags.filter(({ input }) => input.checked).map(({ name }) => [name, true])),
  });
  const draw = (): void => {
    for (const { name, rest, input, value, points, box } of numbers) {
      const count = input.valueAsNumber;
      const { reasons } = assessRisk({ [name]: count });
      const still = count === rest;
      value.textContent = still && rest !== 0 ? "unknown" : String(count);
      points.textContent = reasons[0] ? signed(reasons[0].points) : "";
      box.classList.toggle("counts", reasons.length > 0);
      input.setAttribute("aria-valuetext", `${value.textContent}${reasons[0] ? `, ${points.textContent} points` : ""}`);
    }
    onChange();
  };
  for (const { input } of [...numbers, ...flags]) input.addEventListener("input", draw);
  element("rest", HTMLButtonElement).addEventListener("click", () => {
    for (const { input, rest } of numbers) input.value = String(rest);
    for (const { input } of flags) input.checked = false;
    draw();
  });
  queueMicrotask(draw);
  return { signals };
}
