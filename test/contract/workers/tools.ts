import type { D1Client } from "../../../adapters/d1.ts";

/** What a real D1 binding can do beyond what the adapters need. */
export interface RealD1 extends D1Client {
  batch(statements: ReturnType<D1Client["prepare"]>[]): Promise<{ results: unknown[]; meta: Cost }[]>;
  withSession(constraint: "first-primary" | "first-unconstrained"): D1Client;
}

/** What D1 charges for, index entries included. */
export interface Cost {
  rows_read: number;
  rows_written: number;
}

/** A client that also tells what each batch cost. */
export function countedD1(real: RealD1): { client: D1Client; costs: Cost[] } {
  const costs: Cost[] = [];
  const client: D1Client = {
    prepare: (sql) => real.prepare(sql),
    async batch(statements) {
      const answers = await real.batch(statements);
      const sum = (what: keyof Cost): number => answers.reduce((all, { meta }) => all + meta[what], 0);
      costs.push({ rows_read: sum("rows_read"), rows_written: sum("rows_written") });
      return answers;
    },
  };
  return { client, costs };
}

/** A line to a binding that can be made to hang, which no binding can by itself: what was under way is lost when it works again. */
export function line(): { reach<T>(work: () => Promise<T>): Promise<T>; hang(): () => void } {
  let lost: Promise<Error> | undefined;
  return {
    async reach(work) {
      if (lost !== undefined) throw await lost;
      return work();
    },
    hang() {
      let lose = (_: Error): void => undefined;
      lost = new Promise<Error>((resolve) => {
        lose = resolve;
      });
      return () => {
        lost = undefined;
        lose(new Error("Network connection lost"));
      };
    },
  };
}
