/** The board beside the game: top ten or around me, today or all time, my row marked. */
import type { Client } from "gatepass/client";
import { BOARD } from "../board-name.ts";
import { element, elements, make, points } from "./dom.ts";
import { troubleOf } from "./trouble.ts";

type Answer = Awaited<ReturnType<Client["scores"]>>;
type Row = Answer["scores"][number];

/** What the rest of the page asks of the board. */
export interface Board {
  refresh(): Promise<void>;
  /** Shows the row that was just written. */
  reveal(id: string): Promise<void>;
}

/** Today's period, as the gate names it: the server's own day, in UTC. */
export const TODAY = "day";

export function createBoard(client: Client): Board {
  const rows = element("rows", HTMLOListElement);
  const note = element("board-note", HTMLElement);
  const retry = element("board-retry", HTMLButtonElement);
  let period: "today" | "all" = "today";
  let view: "top" | "around" = "top";
  let asked = 0;

  const query = (around?: string): Promise<Answer> =>
    client.scores({ board: BOARD, period: period === "all" ? "all" : TODAY, limit: 10, ...(around === undefined ? {} : { around }) });

  async function refresh(): Promise<void> {
    asked += 1;
    const turn = asked;
    rows.setAttribute("aria-busy", "true");
    try {
      const { scores, me } = await query(view === "around" ? "me" : undefined);
      // A slower answer to an earlier question must not overwrite a later one.
      if (turn === asked) show(scores, me ?? undefined);
    } catch (error) {
      if (turn !== asked) return;
      rows.replaceChildren();
      note.textContent = `The board cannot be read right now. ${troubleOf(error).text}`;
      retry.hidden = false;
    }
    if (turn === asked) rows.removeAttribute("aria-busy");
  }

  function show(scores: readonly Row[], me: Row | undefined): void {
    retry.hidden = true;
    const items = scores.map((row) => item(row, row.id === me?.id));
    if (view === "top" && me && !scores.some(({ id }) => id === me.id)) items.push(make("li", "gap", "···"), item(me, true));
    rows.replaceChildren(...items);
    note.textContent =
      view === "around" && !me
        ? "You are not on this board yet. A good run puts you here, with your neighbours around you."
        : scores.length > 0
          ? ""
          : period === "today"
            ? "Nobody has signed today. The first line could be yours."
            : "The board is empty. The first line could be yours.";
  }

  for (const button of elements(".board [data-period], .board [data-view]", HTMLButtonElement)) {
    button.addEventListener("click", () => {
      if (button.dataset["period"]) period = button.dataset["period"] === "all" ? "all" : "today";
      if (button.dataset["view"]) view = button.dataset["view"] === "around" ? "around" : "top";
      press();
      void refresh();
    });
  }
  function press(): void {
    for (const button of elements(".board [data-period], .board [data-view]", HTMLButtonElement)) {
      const on = button.dataset["period"] === period || button.dataset["view"] === view;
      button.setAttribute("aria-pressed", String(on));
    }
  }
  retry.addEventListener("click", () => void refresh());

  return {
    refresh,
    async reveal(id) {
      await refresh();
      const mine = rows.querySelector(`[data-id="${CSS.escape(id)}"]`) ?? rows.querySelector(".me");
      mine?.scrollIntoView({ block: "nearest" });
    },
  };
}

function item(row: Row, mine: boolean): HTMLElement {
  const line = make("li", mine ? "me" : "");
  line.dataset["rank"] = String(row.rank);
  line.dataset["id"] = row.id;
  const name = make("span", "name", row.name);
  if (mine) {
    name.append(make("span", "tag", "you"));
    line.setAttribute("aria-current", "true");
  }
  line.append(make("span", "rank", String(row.rank)), name, make("span", "points", points(row.score)));
  return line;
}
