// One process of two: its clock is wrong by so many seconds. Takes all that one solve gives it, and says how much that was.
// Arguments: the file of the store, when the challenge was solved (ms), the offset (s).
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { sqliteStore } from "../../../../adapters/sqlite.ts";
import { grab } from "./visitor.ts";

const [path = "", solved = "0", offset = "0"] = process.argv.slice(2);
const clock = (): number => Date.now() + Number(offset) * 1000;
const database = new DatabaseSync(path);
const store = sqliteStore(database, { clock, timeoutMs: 60_000 });
process.stdout.write(JSON.stringify(await grab({ clock, store, secrets: "a signing secret that both processes have" }, Number(solved))));
database.close();
