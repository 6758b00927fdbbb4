/** The policy, in place: what is wrong with the text, what each request would get under it, and taking it over. */
import { explainPolicy, type PolicyDocument, parsePolicy, type RiskSignals } from "gatepass/clearance";
import { demoPolicy, ROUTES } from "../protected-policy.ts";
import { element, make } from "./dom.ts";
import { KINDS, VERDICTS } from "./protected-words.ts";

/** What a request is explained by. */
export interface Situation {
  signals: Partial<RiskSignals>;
  /** Conditions of the policy that hold for a route. */
  holds(route: keyof typeof ROUTES): readonly string[];
}

/** The editor. */
export interface Editor {
  /** The policy that the gate goes by. */
  applied(): PolicyDocument;
  /** Says again what each request would get. */
  explain(situation: Situation): Promise<void>;
}

const pretty = (policy: PolicyDocument): string => {
  // One entry a line: what is compared stands below each other.
  const lists = Object.entries(policy).map(([list, entries]) => {
    const lines = (Array.isArray(entries) ? entries : []).map((entry: unknown) => `    ${spaced(entry)}`);
    return `  ${JSON.stringify(list)}: [\n${lines.join(",\n")}\n  ]`;
  });
  return `{\n${lists.join(",\n")}\n}`;
};

/** @param apply gives the policy to the gate; what it says against it, or an empty text. Undefined where the page has no say. */
export function createEditor(apply: ((policy: PolicyDocument | null) => Promise<string>) | undefined, onChange: () => void): Editor {
  const area = element("policy-text", HTMLTextAreaElement);
  const problem = element("policy-problem", HTMLElement);
  const state = element("policy-state", HTMLElement);
  const button = element("policy-apply", HTMLButtonElement);
  const rows = element("would", HTMLElement);
  let applied = demoPolicy;
  let written: PolicyDocument | undefined = demoPolicy;
  area.value = pretty(demoPolicy);
  element("policy-buttons", HTMLElement).hidden = apply === undefined;

  const read = (): void => {
    try {
      const value: unknown = JSON.parse(area.value);
      assertPolicy(value);
      written = value;
      complain("");
    } catch (error) {
      written = undefined;
      complain(error instanceof Error ? error.message : "This is no policy");
    }
    onChange();
  };
  const complain = (text: string): void => {
    problem.textContent = text;
    area.setAttribute("aria-invalid", String(text !== ""));
    button.disabled = text !== "";
    const same = written !== undefined && JSON.stringify(written) === JSON.stringify(applied);
    state.textContent = text !== "" ? "cannot be read" : same ? "in force" : apply ? "edited, not applied" : "edited, on this page alone";
    state.dataset["state"] = text !== "" ? "wrong" : same ? "same" : "edited";
  };
  const take = async (policy: PolicyDocument | null): Promise<void> => {
    button.disabled = true;
    const said = (await apply?.(policy)) ?? "";
    if (said === "") applied = policy ?? demoPolicy;
    complain(said);
    onChange();
  };
  area.addEventListener("input", read);
  button.addEventListener("click", () => {
    if (written) void take(written);
  });
  element("policy-back", HTMLButtonElement).addEventListener("click", () => {
    area.value = pretty(demoPolicy);
    written = demoPolicy;
    void take(null);
  });
  complain("");

  return {
    applied: () => applied,
    async explain({ signals, holds }) {
      const policy = written;
      if (!policy) return;
      const lines = await Promise.all(
        namesOf(ROUTES).map(async (name) => {
          const { method, path } = ROUTES[name];
          const { kind, entry, risk, decision } = await explainPolicy(policy, { method, path, signals, holds: holds(name) });
          const line = document.createElement("tr");
          const request = make("th", "", "");
          request.setAttribute("scope", "row");
          request.append(make("code", "", `${method} ${path}`));
          const gets = make("td", "");
          gets.append(make("span", `verdict-chip is-${decision}`, VERDICTS[decision].short));
          if (decision === "challenge")
            gets.append(
              make("span", "aside", `${entry.maxUses === 1 ? "one use" : `${entry.maxUses} uses`}, ${Math.round(entry.ttl / 60)} min`),
            );
          line.append(request, make("td", "", KINDS[kind]), make("td", "number", String(risk.score)), gets);
          return line;
        }),
      );
      // Another letter may have been typed meanwhile.
      if (policy === written) rows.replaceChildren(...lines);
    },
  };
}

/** Names of an object of ours, as such. */
export function namesOf<T extends object>(object: T): (keyof T)[] {
  return Object.keys(object).filter((name): name is Extract<keyof T, string> => name in object);
}

function spaced(entry: unknown): string {
  return JSON.stringify(entry, null, 1)
    .replace(/\n\s*/g, " ")
    .replace(/\[ (.*?) \]/g, "[$1]");
}

function assertPolicy(value: unknown): asserts value is PolicyDocument {
  parsePolicy(value);
}
